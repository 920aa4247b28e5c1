"""The same for scripts without asyncio: a client in a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any, Coroutine, Iterator, Optional

import natter


class Session:
    """A client whose methods wait.

    ::

        with natter.Session("127.0.0.1:20000", user="ci") as session:
            session.join("builds")
            session.publish("builds", "build 7 is green")
    """

    def __init__(self, address: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._messages: "queue.Queue[Optional[natter.Message]]" = queue.Queue()
        try:
            self._client: natter.Client = self._wait(natter.connect(address, **options))
        except BaseException:
            self._stop()
            raise
        self._client.on("message", self._messages.put)
        self._client.on("closed", lambda _: self._messages.put(None))

    def _wait(self, work: "Coroutine[Any, Any, Any]") -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def join(self, topic: str, **start: Any) -> "natter.Joined":
        """See :meth:`natter.Client.join`."""
        return self._wait(self._client.join(topic, **start))  # type: ignore[no-any-return]

    def publish(self, topic: str, text: str, *, id: Optional[str] = None) -> "natter.Ack":
        """Publishes, and waits until the server has acknowledged the message."""

        async def work() -> "natter.Ack":
            return await self._client.publish(topic, text, id=id)

        return self._wait(work())  # type: ignore[no-any-return]

    def history(self, topic: str, **wanted: Any) -> "natter.Range":
        """See :meth:`natter.Client.history`."""
        return self._wait(self._client.history(topic, **wanted))  # type: ignore[no-any-return]

    def who(self, topic: str) -> Any:
        """See :meth:`natter.Client.who`."""
        return self._wait(self._client.who(topic))

    def messages(self) -> "Iterator[natter.Message]":
        """Messages of all topics as they come, until the session is closed."""
        while True:
            message = self._messages.get()
            if message is None:
                return
            yield message

    def close(self) -> None:
        """Waits until everything was acknowledged or refused, and disconnects."""
        if self._thread.is_alive():
            self._wait(self._client.close())
            self._stop()


def publish(address: str, topic: str, text: str, **options: Any) -> "natter.Ack":
    """Publishes one message, and waits until the server has acknowledged it."""
    with Session(address, **options) as session:
        session.join(topic)
        return session.publish(topic, text)
