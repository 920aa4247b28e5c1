"""A connection to a server: frames in, frames out."""

import asyncio
import contextlib
import json
from typing import Any, List, Optional, Tuple

from ._tls import Server
from ._types import Frame, NatterError, message_of, refuse_if, without_none

# More than the longest line of a server's.
_LINE_LIMIT = 4 * 1024 * 1024
# A network that is gone says nothing: who hears nothing for so long pings, and then takes
# the connection for lost.
_PING_AFTER = 20.0
# For an answer to that, for connecting, and for the server's end after ours.
TIMEOUT = 10.0


class Connection:
    """A connection that is registered; :meth:`open` makes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._rest = reader, writer, b""
        #: Both ends, which stand in every frame because classic clients may look for them.
        near, far = map(writer.get_extra_info, ("sockname", "peername"))
        ends = {"source": near or ("0.0.0.0", 0), "destination": far or ("0.0.0.0", 0)}
        self.ends = {end: {"ip": str(at[0]), "port": str(at[1])} for end, at in ends.items()}
        #: The answer to the registration, and why we have another name than the one we wanted.
        self.registered: Frame = {}
        self.refusal: Optional[NatterError] = None
        #: The topics of the connection before are joined over this one, too.
        self.is_ready = False
        #: The task of whoever reads until the connection is over.
        self.reading: asyncio.Future[None]
        #: Why it is over: what the server said last, if that closes connections.
        self.reason = NatterError("connection-lost", "the connection was lost")

    @classmethod
    async def open(cls, server: Server, user: Optional[str], timeout: float) -> "Connection":
        """Connects and registers under this name, or under none. Raises what the server says
        against it, and ``connection-lost`` if it says nothing."""
        try:
            opening = asyncio.open_connection(server.host, server.port, ssl=server.context())
            connection = cls(*await asyncio.wait_for(opening, timeout))
        except (OSError, asyncio.TimeoutError) as error:
            problem = f"can't connect to {server.host}:{server.port}: {error or 'no answer'}"
            raise NatterError("connection-lost", problem) from error
        with contextlib.ExitStack() as undo:
            undo.callback(connection.cancel)
            session = connection._writer.get_extra_info("ssl_object")
            server.check(session, connection.ends["destination"]["ip"])
            about = without_none({"auth": server.auth, "user": user, "client": server.client})
            connection.send({"topics": [], "extended": about})
            while "registered" not in (told := dict(await connection.read())):
                if "message" in told:  # As to classic clients, when it has read nothing yet.
                    raise NatterError(*told["message"].text.partition(": ")[::2])
                if "error" in told:
                    raise told["error"]
            connection.registered = told["registered"]
            undo.pop_all()
        return connection

    def send(self, frame: Frame) -> None:
        """Sends a frame, as long as there is a connection."""
        if not self._writer.is_closing():
            self._writer.write(encode(frame, self.ends) + b"\n")

    async def read(self) -> List[Tuple[str, Any]]:
        """What the server has said since then, each with its kind. At the end of the stream, and
        when it says what is no frame, the reason is raised."""
        try:
            # The end comes as an empty line, which is no frame.
            *lines, self._rest = (self._rest + (await self._chunk() or b"\n")).split(b"\n")
            refuse_if(len(self._rest) > _LINE_LIMIT, "connection-lost", "a line has no end")
            return [told for line in lines for told in self._told(json.loads(line))]
        except Exception as error:
            raise self.reason from error

    async def _chunk(self) -> bytes:
        with contextlib.suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(self._reader.read(_LINE_LIMIT), _PING_AFTER)
        self.send({"extended": {"ping": 0}})
        return await asyncio.wait_for(self._reader.read(_LINE_LIMIT), TIMEOUT)

    def _told(self, frame: Frame) -> List[Tuple[str, Any]]:
        if "message" in frame:
            return [("message", message_of(frame))]
        told = frame.get("extended", {})
        if "error" in told:
            told["error"] = error = NatterError(**told["error"])
            if error.treatment in ("frame", "return", "stop"):
                self.reason = error
        return list(told.items())

    async def end(self) -> None:
        """Says that all is sent, and waits until the server has read it and closes."""
        self.send({"extended": {"end": {}}})
        await asyncio.wait([self.reading], timeout=TIMEOUT)
        self.cancel()

    def cancel(self) -> None:
        """Ends it at once."""
        self._writer.close()


def encode(frame: Frame, ends: Frame) -> bytes:
    """A frame as it is sent between these ends, without the end of its line."""
    return json.dumps({**frame, **ends}, ensure_ascii=False).encode("utf-8", "replace")
