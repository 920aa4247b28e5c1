"""A participant, over connections that may be lost."""

from __future__ import annotations

import asyncio
import random
import secrets
from dataclasses import dataclass
from typing import Any, AsyncIterator, Callable, Coroutine, Dict, List, Optional, Set, Tuple, Union

from ._connection import Connection, Server, encode, end_of, settle
from ._tls import Address
from ._types import (
    CODES, Ack, Frame, Joined, Message, NatterError, Place, Range, check, check_topic, check_user, is_refusal, message_of,
)

# Bytes of a frame that every server with default settings accepts.
_MAX_FRAME = 65536
# Topics in a registration: so many of the longest names fit into a frame.
_MOST_TOPICS = 50
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
# A message that the server's disk did not accept in time is sent again so often.
_MOST_ATTEMPTS = 6
_CLOSED = NatterError("closed", "the client was closed")


@dataclass
class _Topic:
    # What a registration asks for, until the place is known.
    start: Optional[Dict[str, Any]]
    place: Optional[Place]
    is_known: bool = False
    joined_on: Optional[Connection] = None
    joining: Optional[asyncio.Future[Joined]] = None


@dataclass
class _Line:
    id: str
    topic: str
    text: str
    done: asyncio.Future[Ack]
    bytes: int = 0
    attempts: int = 0
    sent_on: Optional[Connection] = None


async def connect(
    address: str, *, user: Optional[str] = None, client: Optional[str] = None,
    reconnect: bool = True, max_frame: int = _MAX_FRAME,
    auth: Union[None, str, Dict[str, str]] = None, insecure_auth: bool = False, ca: Optional[str] = None,
) -> Client:
    """Connects to ``HOST:PORT``, or over TLS to ``tls://HOST:PORT`` or
    ``tls://HOST:PORT#sha256:FINGERPRINT``; raises if that can't be, or if the name is taken.

    ``auth`` is a token, or ``{"user": …, "password": …}``. It goes to another machine over TLS
    only, but with ``insecure_auth``. ``ca`` is a file with authorities' certificates."""
    server = Server(Address.read(address), ca, auth, insecure_auth)
    made = Client(server, user, client or secrets.token_hex(16), reconnect, max_frame)
    try:
        await made._take(*await made._open(user))
    except BaseException:
        made.abort()
        raise
    return made


class Client:
    """A participant. It comes back by itself when a connection is lost."""

    def __init__(self, server: Server, user: Optional[str], secret: str, can_return: bool, limit: int) -> None:
        if user is not None:
            check_user(user)
        self._server, self._wanted, self._secret, self._can_return, self._limit = server, user, secret, can_return, limit
        self._prefix, self._count = secrets.token_hex(6), 0
        #: The name that the server granted.
        self.user: Optional[str] = None
        self._topics: Dict[str, _Topic] = {}
        self._lines: Dict[str, _Line] = {}
        self._connection: Optional[Connection] = None
        # The connection is registered; set too when there will be none.
        self._ready = asyncio.Event()
        self._ended: Optional[NatterError] = None
        self._pause, self._most_topics = _FIRST_PAUSE, _MOST_TOPICS
        self._handlers: Dict[str, List[Callable[[Any], None]]] = {}
        self._tasks: Set[asyncio.Future[Any]] = set()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            await self.close()
        else:
            self.abort()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that is registered."""
        return self._ready.is_set() and not self._ended

    @property
    def topics(self) -> List[str]:
        """The topics that were joined."""
        return list(self._topics)

    def place(self, topic: str) -> Optional[Place]:
        """The last message that was seen of a topic."""
        known = self._topics.get(topic)
        return known.place if known else None

    def on(self, event: str, handler: Callable[[Any], None]) -> Callable[[], None]:
        """Calls ``handler`` with each event; returns a function that ends it."""
        handlers = self._handlers.setdefault(event, [])
        handlers.append(handler)
        return lambda: handlers.remove(handler)

    def _emit(self, event: str, value: Any) -> None:
        for handler in list(self._handlers.get(event, [])):
            try:
                handler(value)
            except Exception as error:  # One handler's fault is not the connection's.
                asyncio.get_running_loop().call_exception_handler({"message": f"in a handler of {event}", "exception": error})

    def messages(self) -> AsyncIterator[Message]:
        """Messages of all topics as they come, from now on, until the client is closed."""
        queue: asyncio.Queue[Optional[Message]] = asyncio.Queue()
        ends = [self.on("message", queue.put_nowait), self.on("closed", lambda _: queue.put_nowait(None))]
        if self._ended:
            queue.put_nowait(None)

        async def read() -> AsyncIterator[Message]:
            try:
                while True:
                    message = await queue.get()
                    if message is None:
                        return
                    yield message
            finally:
                for end in ends:
                    end()

        return read()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Whoever waited for it may have stopped waiting.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return task

    async def _begin(self, pause: float) -> None:
        await asyncio.sleep(pause)
        if self._ended or self._connection:
            return
        try:
            connection, user, refusal = await self._open(self._wanted, may_be_nameless=True)
        except NatterError as error:
            # Who isn't accepted now will not be later.
            is_final = error.code == "wrong-key" or CODES.get(error.code) in ("request", "frame")
            return self._end(error, is_abrupt=True) if is_final else self._lost(error, None)
        if self._connection:  # Meanwhile, a new name has brought another one.
            return connection.abort()
        await self._take(connection, user, refusal)

    async def _open(self, user: Optional[str], may_be_nameless: bool = False) -> Tuple[Connection, Optional[str], Optional[NatterError]]:
        """A connection that is registered under this name; without one if it is taken, and
        if it may be."""
        connection = await Connection.dial(self._server)

        async def register(name: Optional[str]) -> Optional[str]:
            if self._ended:
                raise self._ended
            auth = {} if self._server.auth is None else {"auth": self._server.auth}
            about = {**auth, "client": self._secret} if name is None else {**auth, "client": self._secret, "user": name}
            answer = await connection.ask("registered", lambda: {"topics": [], "extended": about})
            return answer.get("user")  # type: ignore[no-any-return]

        try:
            try:
                return connection, await register(user), None
            except NatterError as refusal:
                if refusal.code != "name-taken" or not may_be_nameless:
                    raise
                return connection, await register(None), refusal
        except BaseException:
            connection.abort()
            raise

    async def _take(self, connection: Connection, user: Optional[str], refusal: Optional[NatterError]) -> None:
        """Goes on over this connection: first where we were, then what waits."""
        if self._ended:
            return connection.abort()
        old, self._connection = self._connection, connection
        self._ready.clear()
        if old:
            old.abort()
        self.user = user
        connection.on_event = self._on_event
        connection.on_close = lambda error: self._lost(error, connection)
        try:
            await self._register_all(connection)
            if connection.is_over:
                raise NatterError("connection-lost", "the connection was lost")
        except NatterError as error:
            self._lost(error, connection)
        if self._connection is not connection:
            return None
        self._ready.set()
        self._pause = _FIRST_PAUSE
        self._emit("connected", user)
        if refusal:
            self._emit("nameless", refusal)
        return self._transmit_all()

    async def _register_all(self, connection: Connection) -> None:
        # A topic whose first answer has not come is asked for again by `join`.
        known = [(name, topic) for name, topic in self._topics.items() if topic.is_known]
        again = [name for name, topic in known if topic.start is None]
        while again:
            part, again = again[: self._most_topics], again[self._most_topics :]
            await self._register(connection, part)
        for name, topic in known:
            if topic.start is not None:
                await self._register(connection, [name])

    async def _register(self, connection: Connection, names: List[str]) -> None:
        """If the server refuses them together, it may accept some of them."""
        try:
            await connection.ask("registered", lambda: self._registration(names), lambda answer: self._on_registered(answer, names))
        except NatterError as error:
            kind = CODES.get(error.code)
            if kind == "frame":
                self._most_topics = 1
            if len(names) == 1 and kind in ("request", "frame"):
                self._drop(names[0], error)
                self._emit("refused", NatterError(error.code, error.text, topic=names[0]))
            elif kind == "request":
                for name in names:
                    await self._register(connection, [name])
            if kind != "request":
                raise

    def _registration(self, names: List[str]) -> Frame:
        known = [(name, self._topics[name]) for name in names if name in self._topics]
        if not known or known[0][1].start is not None:
            return {"topics": names, "extended": known[0][1].start if known else {}}
        return {"topics": names, "extended": {"resume": {name: topic.place._asdict() for name, topic in known if topic.place}}}

    def _on_registered(self, answer: Frame, names: List[str]) -> None:
        for name in names:
            topic, state = self._topics.get(name), answer["topics"].get(name)
            if topic is None or state is None:
                continue
            epoch, seq = state["epoch"], state["seq"]
            if topic.start is None and topic.place:
                is_reset = topic.place.epoch != epoch or seq < topic.place.seq
                topic.place = Place(epoch, 0) if is_reset else topic.place
                if topic.is_known:
                    missed = seq - topic.place.seq
                    self._emit("resumed", {"topic": name, **state, "missed": missed, "is_reset": is_reset})
            else:
                start = topic.start or {}
                # With a time alone, the place is known when the first message has come.
                is_open = "last" not in start and "since" in start and seq > 0
                topic.place = Place(epoch, 0 if is_open else max(0, seq - start.get("last", 0)))
                topic.start = start if is_open else None
            topic.is_known, topic.joined_on = True, self._connection
        self._transmit_all()

    def _drop(self, name: str, error: NatterError) -> None:
        """Leaves a topic, and refuses what waits for it."""
        self._topics.pop(name, None)
        for line in [line for line in self._lines.values() if line.topic == name]:
            self._refuse(line, error)

    async def join(self, topic: str, *, last: Optional[int] = None, since: Optional[int] = None, resume: Optional[Place] = None) -> Joined:
        """Takes part in a topic. A topic that was joined before answers where it is."""
        check_topic(topic)
        known = self._topics.get(topic)
        if not known or not known.joining:
            start = {key: value for key, value in (("last", last), ("since", since)) if value is not None}
            known = self._topics[topic] = _Topic(None if resume else start, Place(*resume) if resume else None)
            known.joining = self._spawn(self._join(topic, known))
        return await asyncio.shield(known.joining)

    async def _join(self, name: str, topic: _Topic) -> Joined:
        try:
            answer = await self._ask("registered", lambda: self._registration([name]), lambda answer: self._on_registered(answer, [name]))
        except NatterError as error:
            if self._topics.get(name) is topic:
                del self._topics[name]
            error.topic = name
            raise
        state = answer["topics"][name]
        return Joined(name, state["epoch"], state["seq"], state.get("recovered"))

    async def leave(self, topic: str) -> None:
        """Leaves a topic."""
        self._drop(topic, NatterError("not-registered", "the topic was left"))
        await self._ask("registered", lambda: {"extended": {"leave": [topic]}})

    async def who(self, topic: str) -> Dict[str, Any]:
        """Who is in a topic: ``topic``, ``count``, ``users``."""
        check_topic(topic)
        return dict(await self._ask("members", lambda: {"extended": {"who": topic}}))

    async def lookup(self, user: str) -> Dict[str, str]:
        """Where a user can be reached: ``user``, ``ip``, ``port``."""
        return dict(await self._ask("found", lambda: {"extended": {"lookup": user}}))

    async def list(self) -> Any:
        """The server's topics: each with ``topic``, ``members``, ``seq``."""
        return await self._ask("topics", lambda: {"extended": {"topics": {}}})

    async def history(self, topic: str, *, before: Optional[int] = None, limit: Optional[int] = None) -> Range:
        """Messages before a number, or the newest ones, in their order."""
        check_topic(topic)
        wanted = {"topic": topic, "before": before, "limit": limit}
        question = {key: value for key, value in wanted.items() if value is not None}
        answer = await self._ask("history", lambda: {"extended": {"history": question}})
        return Range(topic, answer["epoch"], answer["first"], [message_of(frame) for frame in answer["messages"]])

    async def _ask(self, kind: str, frame: Callable[[], Frame], on_answer: Callable[[Any], None] = lambda answer: None) -> Any:
        """Asks when there is a connection; again if that is lost before the answer."""
        if self._ended:
            raise _CLOSED

        async def insist() -> Any:
            while True:
                await self._ready.wait()
                if self._ended:
                    raise self._ended
                connection = self._connection
                assert connection
                try:
                    return await connection.ask(kind, frame, on_answer)
                except NatterError as error:
                    if is_refusal(error.code) or connection.is_blamed:
                        raise
                    self._lost(error, connection)

        # The answer comes in its turn, even if nobody waits for it any more.
        return await asyncio.shield(self._spawn(insist()))

    def publish(self, topic: str, text: str, *, id: Optional[str] = None) -> asyncio.Future[Ack]:
        """Publishes. The future is done when the server has acknowledged the message, over
        however many connections; it fails when the server refuses it."""
        if id is None:
            self._count += 1
            id = f"{self._prefix}-{self._count}"
        line = _Line(id, topic, text, asyncio.get_running_loop().create_future())
        line.bytes = len(encode(self._frame(line)))
        check(_CLOSED.text if self._ended else None, _CLOSED.code, topic, id)
        check(None if topic in self._topics else f"join {topic!r} first", "not-registered", topic, id)
        too_long = f"a frame has at most {self._limit} bytes; this one has {line.bytes}"
        check(too_long if line.bytes > self._limit else None, "too-long", topic, id)
        self._lines[id] = line
        self._transmit(line)
        return line.done

    def _frame(self, line: _Line) -> Frame:
        # Classic clients may look for both ends of the connection.
        source, destination = self._connection.ends if self._connection else (end_of(None), end_of(None))
        message = {"topic": line.topic, "text": line.text}
        return {"extended": {"id": line.id}, "source": source, "destination": destination, "message": message}

    def _transmit(self, line: _Line) -> None:
        connection, topic = self._connection, self._topics.get(line.topic)
        may_publish = self.is_connected and (self._wanted is None or self.user is not None)
        is_joined = topic is not None and topic.joined_on is connection
        if connection and may_publish and is_joined and line.sent_on is not connection:
            line.sent_on = connection
            connection.send(self._frame(line))

    def _transmit_all(self) -> None:
        for line in self._lines.values():
            self._transmit(line)

    async def rename(self, user: str) -> None:
        """Takes another name. The old one is kept until the server has granted the new one."""
        check_user(user)
        if user == self.user:
            return
        # Without a connection, the next one is made with it.
        opened = await self._open(user) if self.is_connected else None
        self._wanted = user
        if opened:
            await self._take(*opened)

    async def close(self) -> None:
        """Waits until everything was acknowledged or refused, and disconnects."""
        while self._lines:
            await asyncio.wait([line.done for line in self._lines.values()])
        connection = self._connection
        # Who leaves all topics gives the name back at once.
        for topic in self.topics:
            if connection:
                connection.send({"extended": {"leave": [topic]}})
        self._end(None)
        if connection:
            await connection.wait_closed()

    def abort(self) -> None:
        """Disconnects at once."""
        self._end(None, is_abrupt=True)

    def _end(self, error: Optional[NatterError], is_abrupt: bool = False) -> None:
        if self._ended:
            return
        self._ended = error or _CLOSED
        if self._connection and is_abrupt:
            self._connection.abort()
        elif self._connection:
            self._connection.end()
        for line in list(self._lines.values()):
            self._refuse(line, self._ended)
        self._ready.set()
        self._emit("closed", error)

    def _lost(self, error: NatterError, connection: Optional[Connection]) -> None:
        """The connection is lost, if it is still this one."""
        if self._ended or connection is not self._connection:
            return
        self._connection = None
        self._ready.clear()
        if connection:
            connection.abort()
            if CODES.get(error.code) == "frame":
                self._blame(connection, error)
        if CODES.get(error.code) == "stop" or not self._can_return:
            return self._end(error, is_abrupt=True)
        pause = self._pause * random.uniform(0.75, 1.25)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        self._emit("disconnected", error)
        self._spawn(self._begin(pause))
        return None

    def _blame(self, connection: Connection, error: NatterError) -> None:
        """The server can't read something that was sent. If it was a message, it was the
        longest one: it would be refused again over every connection. Otherwise it was the
        question."""
        sent = [line for line in self._lines.values() if line.sent_on is connection]
        connection.is_blamed = not sent
        if sent:
            longest = max(sent, key=lambda line: line.bytes)
            if error.code == "too-long":
                self._limit = min(self._limit, longest.bytes - 1)
            self._refuse(longest, error)

    def _refuse(self, line: _Line, error: NatterError) -> None:
        if self._lines.pop(line.id, None):
            settle(line.done, NatterError(error.code, error.text, topic=line.topic, id=line.id))

    def _on_event(self, kind: str, value: Any) -> None:
        if kind == "error" and "id" in value:
            return self._on_refused(value)
        if kind == "error":
            return self._emit(kind, NatterError(value["code"], value["text"]))
        if kind == "message":
            return self._on_message(value)
        if kind == "ack":
            return self._on_ack(Ack(value["topic"], value["seq"], value["id"]))
        topic = self._topics.get(value["topic"]) if kind == "gap" else None
        if topic and topic.place:
            topic.place = Place(topic.place.epoch, max(topic.place.seq, value["to"]))
        return self._emit(kind, value)

    def _on_message(self, message: Message) -> None:
        topic = self._topics.get(message.topic)
        if topic is None:
            return
        if message.seq is not None and topic.place:
            if message.seq <= topic.place.seq:
                return
            topic.place, topic.start = Place(topic.place.epoch, message.seq), None
        self._emit("message", message)

    def _on_ack(self, ack: Ack) -> None:
        topic, line = self._topics.get(ack.topic), self._lines.pop(ack.id, None)
        # One's own message is never sent back. What is before it may still be on its way.
        if topic and topic.place and ack.seq == topic.place.seq + 1:
            topic.place = Place(topic.place.epoch, ack.seq)
        if line:
            settle(line.done, ack)

    def _on_refused(self, told: Dict[str, str]) -> None:
        """The server refuses a message, for ever or for now."""
        line = self._lines.get(told["id"])
        if line is None:
            return
        line.attempts += 1
        if CODES.get(told["code"]) == "again" and line.attempts < _MOST_ATTEMPTS:
            self._spawn(self._send_again(line))
        else:
            self._refuse(line, NatterError(told["code"], told["text"]))

    async def _send_again(self, line: _Line) -> None:
        await asyncio.sleep(_FIRST_PAUSE * line.attempts)
        line.sent_on = None
        if line.id in self._lines:
            self._transmit(line)
