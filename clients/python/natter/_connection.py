"""A connection to a server: frames in, frames out, one question at a time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Optional, Tuple, Union

from ._tls import Address
from ._types import CODES, Frame, Message, NatterError, is_refusal, message_of

# More than the longest line of a server's.
_LINE_LIMIT = 4 * 1024 * 1024
# A network that is gone says nothing: who hears nothing for so long pings, and then takes
# the connection for lost.
_PING_AFTER = 20.0
_LOST_AFTER = 10.0
_DIAL_TIMEOUT = 10.0


@dataclass(frozen=True)
class Server:
    """Where a server is, and by what we prove to it who we are."""

    address: Address
    #: A file with certificates of authorities, instead of the system's.
    ca: Optional[str] = None
    #: A token, or ``{"user": …, "password": …}``. Not shown, so that no log has it.
    auth: Union[None, str, Dict[str, str]] = field(default=None, repr=False)
    insecure_auth: bool = False

    @property
    def has_guarded_secret(self) -> bool:
        return self.auth is not None and not self.insecure_auth


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        # The question that is with the server, and the turns of those who ask.
        self._asked: Optional[Tuple[str, Callable[[Any], None], asyncio.Future[Any]]] = None
        self._turn = asyncio.Lock()
        self._last_error: Dict[str, str] = {}
        self._is_answered = self.is_over = False
        #: The server closed it because of a question.
        self.is_blamed = False
        self.on_event: Callable[[str, Any], None] = lambda kind, value: None
        self.on_close: Callable[[NatterError], None] = lambda error: None
        self.ends = [end_of(writer.get_extra_info(which)) for which in ("sockname", "peername")]
        self._task = asyncio.ensure_future(self._read())

    @classmethod
    async def dial(cls, server: Server) -> "Connection":
        address = server.address
        context = address.context(server.ca)
        opening = asyncio.open_connection(address.host, address.port, limit=_LINE_LIMIT, ssl=context)
        try:
            reader, writer = await asyncio.wait_for(opening, _DIAL_TIMEOUT)
            try:
                address.check(writer, server.has_guarded_secret)
            except NatterError:
                writer.close()
                raise
            return cls(reader, writer)
        except (OSError, asyncio.TimeoutError) as error:
            raise NatterError("connection-lost", f"can't connect to {address.host}:{address.port}: {error or 'no answer'}") from error

    def send(self, frame: Frame) -> None:
        if not self.is_over:
            self._writer.write(encode(frame) + b"\n")

    async def ask(self, kind: str, frame: Callable[[], Frame], on_answer: Callable[[Any], None] = lambda answer: None) -> Any:
        """Asks, after the question before; the answer is of this kind. ``on_answer`` gets it
        before anything that comes after it is looked at."""
        async with self._turn:
            if self.is_over:
                raise self._reason()
            answer = asyncio.get_running_loop().create_future()
            self._asked = kind, on_answer, answer
            self.send(frame())
            return await answer

    async def _read(self) -> None:
        try:
            while True:
                try:
                    line = await asyncio.wait_for(self._reader.readline(), _PING_AFTER)
                except asyncio.TimeoutError:
                    self.send({"extended": {"ping": 0}})
                    line = await asyncio.wait_for(self._reader.readline(), _LOST_AFTER)
                if not line:
                    break
                frame = json.loads(line)
                if "message" in frame:
                    self._take_message(message_of(frame))
                else:
                    for kind, value in frame.get("extended", {}).items():
                        self._take(kind, value)
        except Exception:  # The network is gone, or what comes is no frame.
            pass
        if not self.is_over:
            self._over()
            self._writer.close()
            self.on_close(self._reason())

    def _take_message(self, message: Message) -> None:
        if self._is_answered or message.topic != "error":
            return self._take("message", message)
        # A server that has read nothing yet says why it refuses as it does to classic clients.
        code, _, text = message.text.partition(": ")
        return self._take("error", {"code": code, "text": text})

    def _take(self, kind: str, value: Any) -> None:
        if self.is_over:
            return None
        if kind == "ping":
            return self.send({"extended": {"pong": value}})
        asked, is_general = self._asked, kind == "error" and "id" not in value
        if is_general:
            self._last_error = value
        is_refused = is_general and is_refusal(value["code"])
        if not asked or not (is_refused or asked[0] == kind):
            return self.on_event(kind, value)
        self._asked = None
        _, on_answer, answer = asked
        if is_refused:
            return settle(answer, NatterError(value["code"], value["text"]))
        self._is_answered = True
        on_answer(value)
        return settle(answer, value)

    def _reason(self) -> NatterError:
        code = self._last_error.get("code", "")
        if CODES.get(code) in ("frame", "return", "stop"):
            return NatterError(code, self._last_error["text"])
        return NatterError("connection-lost", "the connection was lost")

    def _over(self) -> None:
        self.is_over = True
        if self._asked:
            settle(self._asked[2], self._reason())

    def end(self) -> None:
        """Ends it when all is sent: the rest that comes is read and forgotten."""
        if not self._writer.can_write_eof():  # Python's TLS can't close one direction.
            self.send({"extended": {"end": {}}})
        self._over()
        if self._writer.can_write_eof():
            self._writer.write_eof()

    def abort(self) -> None:
        self._over()
        self._task.cancel()
        self._writer.close()

    async def wait_closed(self) -> None:
        await asyncio.wait([self._task], timeout=_DIAL_TIMEOUT)
        self._writer.close()


def settle(done: asyncio.Future[Any], result: Any) -> None:
    """Whoever waited may have stopped waiting."""
    if not done.done() and isinstance(result, NatterError):
        done.set_exception(result)
    elif not done.done():
        done.set_result(result)


def end_of(address: Any) -> Dict[str, str]:
    return {"ip": str(address[0]), "port": str(address[1])} if address else {"ip": "0.0.0.0", "port": "0"}


def encode(frame: Frame) -> bytes:
    return json.dumps(frame, ensure_ascii=False).encode("utf-8", "replace")
