"""The same for scripts without asyncio: a client in a thread of its own."""

import asyncio
import contextlib
import queue
import threading
from typing import Any, Awaitable, Callable, Dict, Iterator, Optional, TypeVar

from ._client import Client, connect
from ._types import Ack, Joined, Message, Range

_T = TypeVar("_T")


class Session(contextlib.AbstractContextManager["Session"]):
    """A client whose methods wait. It takes what :func:`natter.connect` takes, and raises the
    same errors.

    ::

        with natter.Session("127.0.0.1:20000", user="ci") as session:
            session.join("builds")
            session.publish("builds", "build 7 is green")
    """

    def __init__(self, address: str, **options: Any) -> None:
        self._messages: queue.Queue[Optional[Message]] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        with contextlib.ExitStack() as stack:
            # What closing does, the last first.
            stack.callback(self._loop.close)
            stack.callback(thread.join)
            stack.callback(self._loop.call_soon_threadsafe, self._loop.stop)
            self._client: Client = self._wait(connect, address, **options)
            stack.callback(self._wait, self._client.close)
            self._client.on("next", self._messages.put)
            self._closing = stack.pop_all()

    def _wait(self, work: Callable[..., Awaitable[_T]], *args: Any, **options: Any) -> _T:
        async def run() -> _T:
            return await work(*args, **options)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def __exit__(self, *_: Any) -> None:
        self.close()

    def join(self, topic: str, **start: Any) -> Joined:
        """See :meth:`natter.Client.join`."""
        return self._wait(self._client.join, topic, **start)

    def publish(self, topic: str, text: str, *, id: Optional[str] = None) -> Ack:
        """Publishes, and waits until the server has acknowledged the message."""
        return self._wait(self._client.publish, topic, text, id=id)

    def history(self, topic: str, **wanted: Any) -> Range:
        """See :meth:`natter.Client.history`."""
        return self._wait(self._client.history, topic, **wanted)

    def who(self, topic: str) -> Dict[str, Any]:
        """See :meth:`natter.Client.who`."""
        return self._wait(self._client.who, topic)

    def messages(self) -> Iterator[Message]:
        """Messages of all topics as they come, until the session is closed."""
        return iter(self._messages.get, None)

    def close(self) -> None:
        """Waits until everything was acknowledged or refused, and disconnects."""
        self._closing.close()


def publish(address: str, topic: str, text: str, **options: Any) -> Ack:
    """Publishes one message, and waits until the server has acknowledged it."""
    with Session(address, **options) as session:
        session.join(topic)
        return session.publish(topic, text)
