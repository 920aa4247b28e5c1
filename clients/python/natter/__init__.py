"""Publish to topics of a topicserver and subscribe to them, over connections that may be
lost. docs/protocol.md is the protocol, README.md shows how to use it."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from ._blocking import Session, publish

__all__ = [
    "CODES", "Ack", "Client", "Joined", "Message", "NatterError", "Place", "Range", "Session",
    "connect", "publish",
]

#: What a client does about each error code of docs/protocol.md:
#: message   the message with the id is refused; again: send it again later
#: request   a registration or a question is refused
#: frame     the server closed the connection because of something that was sent
#: return    the connection was closed; come back; stop: don't come back
#: notice    nothing is refused
#: http      only over HTTP
CODES: Dict[str, str] = {
    "not-an-object": "request", "unknown-frame": "request", "bad-frame": "request",
    "bad-topic": "request", "too-many-topics": "request", "name-taken": "request",
    "unknown-user": "request", "storage-full": "message", "storage-busy": "again",
    "not-registered": "message", "duplicate-id": "message", "not-json": "frame",
    "not-utf8": "frame", "too-deep": "frame",
    "too-long": "frame", "registration-timeout": "return", "unfinished-frame": "return",
    "slow-reader": "return", "queues-full": "return", "too-many-connections": "return", "replaced": "stop",
    "tls-not-supported": "stop", "tls-required": "stop", "shutting-down": "return",
    "unauthenticated": "request", "forbidden": "request", "name-reserved": "request",
    "protected": "stop", "expired": "stop", "revoked": "stop", "too-many-attempts": "return",
    "rate-limited": "notice", "bad-request": "http",
    "forbidden-origin": "http", "forbidden-host": "http", "not-found": "http",
    "method-not-allowed": "http", "busy": "stop",
}

MAX_FRAME = 65536
# Topics in a registration: so many of the longest names fit into a frame.
_MOST_TOPICS = 50
# More than the longest line of a server's.
_LINE_LIMIT = 4 * 1024 * 1024
_PING_AFTER = 20.0
_LOST_AFTER = 10.0
_DIAL_TIMEOUT = 10.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
# A message that the server's disk did not accept in time is sent again so often.
_MOST_ATTEMPTS = 6


class NatterError(Exception):
    """What went wrong: ``code`` is one of docs/protocol.md, ``connection-lost`` or ``closed``."""

    def __init__(self, code: str, text: str, *, topic: Optional[str] = None, id: Optional[str] = None) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text, self.topic, self.id = code, text, topic, id


class Message(NamedTuple):
    """Something that was said."""

    topic: str
    text: str
    user: Optional[str]
    #: Its number; none if the server could not store it.
    seq: Optional[int]
    #: When the server got it, in milliseconds since 1970.
    time: Optional[int]


class Place(NamedTuple):
    """The last message that was seen of a topic: where to resume."""

    epoch: str
    seq: int


class Joined(NamedTuple):
    """Where a topic was when it was joined."""

    topic: str
    epoch: str
    seq: int
    recovered: Optional[bool]


class Range(NamedTuple):
    """Past messages, and the oldest number that the server still has."""

    topic: str
    epoch: str
    first: int
    messages: List[Message]


class Ack(NamedTuple):
    """The server has a message."""

    topic: str
    seq: int
    id: str


def _has_control(text: str) -> bool:
    return any(c < " " or "\x7f" <= c <= "\x9f" for c in text)


def _check_topic(name: str) -> None:
    problem = None
    if not name:
        problem = "a topic's name can't be empty"
    elif _has_control(name):
        problem = "a topic's name holds no control character"
    elif any("\ud800" <= c <= "\udfff" for c in name):
        problem = "a topic's name is whole characters"
    elif len(name.encode()) > 255:
        problem = f"a topic's name has at most 255 bytes; this one has {len(name.encode())}"
    if problem:
        raise NatterError("bad-topic", problem, topic=name)


def _check_user(name: str) -> None:
    if not name or _has_control(name) or len(name) > 64:
        raise NatterError("bad-frame", "a name has 1 to 64 characters, none of them a control character")


def _message(frame: Dict[str, Any]) -> Message:
    extended, message = frame.get("extended", {}), frame["message"]
    return Message(message["topic"], message["text"], extended.get("user"), extended.get("seq"), extended.get("time"))


class _Topic:
    def __init__(self, start: Dict[str, Any], place: Optional[Place]) -> None:
        # What a registration asks for, until the place is known.
        self.start: Optional[Dict[str, Any]] = None if place else start
        self.place = place
        self.is_known = False
        self.is_joined = False
        self.joining: "Optional[asyncio.Future[Joined]]" = None


class _Line:
    def __init__(self, id: str, topic: str, text: str, done: "asyncio.Future[Ack]") -> None:
        self.id, self.topic, self.text, self.done = id, topic, text, done
        self.bytes = 0
        self.attempts = 0
        self.sent_on: Optional[_Connection] = None


class _Question:
    def __init__(self, frame: Callable[[], Dict[str, Any]], kind: str, done: "asyncio.Future[Any]") -> None:
        self.frame, self.kind, self.done = frame, kind, done


class _Connection:
    """Frames in, frames out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._asked: "Optional[asyncio.Future[Dict[str, Any]]]" = None
        self._last_error: Dict[str, str] = {}
        self.is_over = False
        self.on_frame: Callable[[Dict[str, Any]], None] = lambda frame: None
        self.on_close: Callable[[NatterError], None] = lambda error: None
        self.ends = [_end(writer.get_extra_info(which)) for which in ("sockname", "peername")]
        self._task = asyncio.ensure_future(self._read())

    @classmethod
    async def dial(cls, address: str) -> "_Connection":
        host, _, port = address.rpartition(":")
        opening = asyncio.open_connection(host.strip("[]"), int(port), limit=_LINE_LIMIT)
        try:
            return cls(*await asyncio.wait_for(opening, _DIAL_TIMEOUT))
        except (OSError, asyncio.TimeoutError) as error:
            raise NatterError("connection-lost", f"can't connect to {address}: {error or 'no answer'}") from error

    def send(self, frame: Dict[str, Any]) -> None:
        if not self.is_over:
            self._writer.write(json.dumps(frame, ensure_ascii=False).encode("utf-8", "replace") + b"\n")

    async def ask(self, frame: Dict[str, Any]) -> Dict[str, Any]:
        """Sends a registration; its answer. Only one at a time."""
        if self.is_over:
            raise self._reason()
        self._asked = asyncio.get_running_loop().create_future()
        self.send(frame)
        return await self._asked

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
                self._take(json.loads(line))
        except (OSError, ValueError, asyncio.TimeoutError):
            pass
        if not self.is_over:
            self._over()
            self._writer.close()
            self.on_close(self._reason())

    def _take(self, frame: Dict[str, Any]) -> None:
        if self.is_over:
            return
        extended = {} if "message" in frame else frame.get("extended", {})
        error: Dict[str, str] = extended.get("error") or {}
        registered: Optional[Dict[str, Any]] = extended.get("registered")
        if "ping" in extended:
            return self.send({"extended": {"pong": extended["ping"]}})
        is_general = bool(error) and "id" not in error
        if is_general:
            self._last_error = error
        asked = self._asked
        if asked and not asked.done() and (registered is not None or is_general):
            self._asked = None
            if registered is not None:
                asked.set_result(registered)
            else:
                asked.set_exception(NatterError(error["code"], error["text"]))
            return None
        return self.on_frame(frame)

    def _reason(self) -> NatterError:
        code = self._last_error.get("code", "")
        if CODES.get(code) in ("frame", "return", "stop"):
            return NatterError(code, self._last_error["text"])
        return NatterError("connection-lost", "the connection was lost")

    def _over(self) -> None:
        self.is_over = True
        if self._asked and not self._asked.done():
            self._asked.set_exception(self._reason())

    def end(self) -> None:
        """Ends it when all is sent: the rest that comes is read and forgotten."""
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


def _end(address: Any) -> Dict[str, str]:
    return {"ip": str(address[0]), "port": str(address[1])} if address else {"ip": "0.0.0.0", "port": "0"}


async def connect(
    address: str, *, user: Optional[str] = None, client: Optional[str] = None,
    reconnect: bool = True, max_frame: int = MAX_FRAME,
) -> "Client":
    """Connects to ``HOST:PORT``; raises if that can't be, or if the name is taken."""
    made = Client(address, user=user, client=client, reconnect=reconnect, max_frame=max_frame)
    try:
        await made._begin(is_first=True)
    except BaseException:
        made.abort()
        raise
    return made


class Client:
    """A participant. It comes back by itself when a connection is lost."""

    def __init__(self, address: str, *, user: Optional[str], client: Optional[str], reconnect: bool, max_frame: int) -> None:
        if user is not None:
            _check_user(user)
        self._address, self._wanted, self._reconnect, self._limit = address, user, reconnect, max_frame
        self._secret = client or secrets.token_hex(16)
        self._prefix, self._count = secrets.token_hex(6), 0
        #: The name that the server granted.
        self.user: Optional[str] = None
        self._topics: Dict[str, _Topic] = {}
        self._lines: Dict[str, _Line] = {}
        self._questions: List[_Question] = []
        self._asked: Optional[_Question] = None
        self._connection: Optional[_Connection] = None
        self._is_ready = self._is_closed = False
        self._pause, self._most_topics = _FIRST_PAUSE, _MOST_TOPICS
        self._handlers: Dict[str, List[Callable[[Any], None]]] = {}
        self._settled = asyncio.Event()
        self._tasks: "Set[asyncio.Future[Any]]" = set()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            await self.close()
        else:
            self.abort()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that is registered."""
        return self._is_ready

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
        queue: "asyncio.Queue[Optional[Message]]" = asyncio.Queue()
        ends = [self.on("message", queue.put_nowait), self.on("closed", lambda _: queue.put_nowait(None))]
        if self._is_closed:
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

    def _spawn(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, is_first: bool = False) -> None:
        try:
            connection, user, refusal = await self._open(self._wanted, may_be_nameless=not is_first)
        except NatterError as error:
            if is_first:
                raise
            return self._lost(error)
        if self._connection or self._is_closed:
            return connection.abort()
        await self._take(connection, user)
        if refusal:
            self._emit("nameless", refusal)

    async def _open(self, user: Optional[str], may_be_nameless: bool) -> Tuple[_Connection, Optional[str], Optional[NatterError]]:
        connection = await _Connection.dial(self._address)

        async def register(name: Optional[str]) -> Dict[str, Any]:
            extended: Dict[str, Any] = {"client": self._secret}
            if name is not None:
                extended["user"] = name
            return await connection.ask({"topics": [], "extended": extended})

        refusal: Optional[NatterError] = None
        try:
            try:
                answer = await register(user)
            except NatterError as error:
                if error.code != "name-taken" or not may_be_nameless:
                    raise
                answer, refusal = await register(None), error
        except BaseException:
            connection.abort()
            raise
        return connection, answer.get("user"), refusal

    async def _take(self, connection: _Connection, user: Optional[str]) -> None:
        """Goes on over this connection: first where we were, then what waits."""
        old, self._connection = self._connection, connection
        self._is_ready = False
        if old:
            old.abort()
        self._ask_again()
        self.user = user
        connection.on_frame = self._on_frame
        connection.on_close = lambda error: self._lost(error) if self._connection is connection else None
        try:
            await self._register_all(connection)
        except NatterError as error:
            if self._connection is connection:
                self._lost(error)
        if self._connection is not connection:
            return
        self._is_ready = True
        self._pause = _FIRST_PAUSE
        self._emit("connected", user)
        for line in list(self._lines.values()):
            self._transmit(line)
        self._next()

    def _ask_again(self) -> None:
        if self._asked:
            self._questions.insert(0, self._asked)
        self._asked = None

    async def _register_all(self, connection: _Connection) -> None:
        # A topic whose first answer has not come waits among the questions.
        known = [(name, topic) for name, topic in self._topics.items() if topic.is_known]
        again = [name for name, topic in known if topic.start is None]
        while again:
            part, again = again[: self._most_topics], again[self._most_topics :]
            await self._register_some(connection, part)
        for name, topic in known:
            if topic.start is not None:
                await self._register_some(connection, [name])

    async def _register_some(self, connection: _Connection, names: List[str]) -> None:
        try:
            self._on_registered(await connection.ask(self._registration(names)), names)
        except NatterError as error:
            kind = CODES.get(error.code)
            if kind == "frame":
                self._most_topics = 1
            if kind == "request" and len(names) > 1:
                for name in names:
                    await self._register_some(connection, [name])
            elif kind in ("request", "frame") and len(names) == 1:
                self._drop(names[0], NatterError(error.code, error.text, topic=names[0]))
            if kind != "request":
                raise

    def _registration(self, names: List[str]) -> Dict[str, Any]:
        first = self._topics.get(names[0])
        if first is None or first.start is not None:
            return {"topics": names, "extended": first.start if first else {}}
        places = {name: self._topics[name].place for name in names}
        resume = {name: {"epoch": place.epoch, "seq": place.seq} for name, place in places.items() if place}
        return {"topics": names, "extended": {"resume": resume}}

    def _on_registered(self, answer: Dict[str, Any], names: List[str]) -> None:
        for name in names:
            topic, state = self._topics.get(name), answer["topics"].get(name)
            if topic is None or state is None:
                continue
            epoch, seq = state["epoch"], state["seq"]
            if topic.start is None and topic.place:
                is_reset = topic.place.epoch != epoch or seq < topic.place.seq
                topic.place = Place(epoch, 0 if is_reset else topic.place.seq)
                if topic.is_known:
                    about = {"topic": name, **state, "missed": seq - topic.place.seq, "is_reset": is_reset}
                    self._emit("resumed", about)
            else:
                start = topic.start or {}
                # With a time alone, the place is known when the first message has come.
                is_open = "last" not in start and "since" in start and seq > 0
                topic.place = Place(epoch, 0 if is_open else max(0, seq - start.get("last", 0)))
                if not is_open:
                    topic.start = None
            topic.is_known = topic.is_joined = True

    def _drop(self, name: str, error: NatterError) -> None:
        self._topics.pop(name, None)
        self._refuse_all(name, error)
        self._emit("refused", error)

    def _refuse_all(self, name: str, error: NatterError) -> None:
        for line in [line for line in self._lines.values() if line.topic == name]:
            self._refuse(line, error)

    async def join(self, topic: str, *, last: Optional[int] = None, since: Optional[int] = None, resume: Optional[Place] = None) -> Joined:
        """Takes part in a topic. A topic that was joined before answers where it is."""
        _check_topic(topic)
        known = self._topics.get(topic)
        if known and known.joining:
            return await asyncio.shield(known.joining)
        start = {key: value for key, value in (("last", last), ("since", since)) if value is not None}
        state = self._topics[topic] = _Topic(start, Place(*resume) if resume else None)
        state.joining = asyncio.ensure_future(self._join(topic, state))
        return await asyncio.shield(state.joining)

    async def _join(self, name: str, topic: _Topic) -> Joined:
        try:
            answer = await self._ask(lambda: self._registration([name]), "registered")
        except NatterError as error:
            if self._topics.get(name) is topic:
                del self._topics[name]
            error.topic = name
            raise
        state = answer["topics"][name]
        return Joined(name, state["epoch"], state["seq"], state.get("recovered"))

    async def leave(self, topic: str) -> None:
        """Leaves a topic."""
        self._topics.pop(topic, None)
        self._refuse_all(topic, NatterError("not-registered", "the topic was left", topic=topic))
        await self._ask(lambda: {"extended": {"leave": [topic]}}, "registered")

    async def who(self, topic: str) -> Dict[str, Any]:
        """Who is in a topic: ``topic``, ``count``, ``users``."""
        _check_topic(topic)
        return dict(await self._ask(lambda: {"extended": {"who": topic}}, "members"))

    async def lookup(self, user: str) -> Dict[str, str]:
        """Where a user can be reached: ``user``, ``ip``, ``port``."""
        return dict(await self._ask(lambda: {"extended": {"lookup": user}}, "found"))

    async def list(self) -> Any:
        """The server's topics: each with ``topic``, ``members``, ``seq``."""
        return await self._ask(lambda: {"extended": {"topics": {}}}, "topics")

    async def history(self, topic: str, *, before: Optional[int] = None, limit: Optional[int] = None) -> Range:
        """Messages before a number, or the newest ones, in their order."""
        _check_topic(topic)
        wanted = {"topic": topic, "before": before, "limit": limit}
        question = {key: value for key, value in wanted.items() if value is not None}
        answer = await self._ask(lambda: {"extended": {"history": question}}, "history")
        return Range(topic, answer["epoch"], answer["first"], [_message(frame) for frame in answer["messages"]])

    async def _ask(self, frame: Callable[[], Dict[str, Any]], kind: str) -> Any:
        """Asks when there is a connection; again if that is lost before the answer."""
        if self._is_closed:
            raise NatterError("closed", "the client was closed")
        question = _Question(frame, kind, asyncio.get_running_loop().create_future())
        self._questions.append(question)
        self._next()
        return await question.done

    def _next(self) -> None:
        while self._is_ready and self._connection and not self._asked and self._questions:
            question = self._questions.pop(0)
            if not question.done.done():
                self._asked = question
                self._connection.send(question.frame())

    def publish(self, topic: str, text: str, *, id: Optional[str] = None) -> "asyncio.Future[Ack]":
        """Publishes. The future is done when the server has acknowledged the message, over
        however many connections; it fails when the server refuses it."""
        if id is None:
            self._count += 1
            id = f"{self._prefix}-{self._count}"
        if self._is_closed:
            raise NatterError("closed", "the client was closed", topic=topic, id=id)
        if topic not in self._topics:
            raise NatterError("not-registered", f"join {topic!r} first", topic=topic, id=id)
        line = _Line(id, topic, text, asyncio.get_running_loop().create_future())
        line.bytes = len(json.dumps(self._frame(line), ensure_ascii=False).encode("utf-8", "replace"))
        if line.bytes > self._limit:
            raise NatterError("too-long", f"a frame has at most {self._limit} bytes; this one has {line.bytes}", topic=topic, id=id)
        self._lines[id] = line
        self._settled.clear()
        self._transmit(line)
        return line.done

    def _frame(self, line: _Line) -> Dict[str, Any]:
        # Classic clients may look for both ends of the connection.
        ends = self._connection.ends if self._connection else [_end(None), _end(None)]
        return {
            "extended": {"id": line.id}, "source": ends[0], "destination": ends[1],
            "message": {"topic": line.topic, "text": line.text},
        }

    def _transmit(self, line: _Line) -> None:
        topic = self._topics.get(line.topic)
        has_name = self._wanted is None or self.user is not None
        is_joined = topic is not None and topic.is_joined
        if self._is_ready and self._connection and has_name and is_joined and line.sent_on is not self._connection:
            line.sent_on = self._connection
            self._connection.send(self._frame(line))

    async def rename(self, user: str) -> None:
        """Takes another name. The old one is kept until the server has granted the new one."""
        _check_user(user)
        if user == self.user:
            return
        if not self._is_ready:
            # The next connection is made with it.
            self._wanted = user
            return
        connection, granted, _ = await self._open(user, may_be_nameless=False)
        self._wanted = user
        await self._take(connection, granted)

    async def close(self) -> None:
        """Waits until everything was acknowledged or refused, and disconnects."""
        if self._lines and not self._is_closed:
            await self._settled.wait()
        connection = self._connection
        # Who leaves all topics gives the name back at once.
        topics = self.topics
        while connection and self._is_ready and topics:
            connection.send({"extended": {"leave": topics[:_MOST_TOPICS]}})
            topics = topics[_MOST_TOPICS:]
        self._end(None, is_abrupt=False)
        if connection:
            await connection.wait_closed()

    def abort(self) -> None:
        """Disconnects at once."""
        self._end(None, is_abrupt=True)

    def _end(self, error: Optional[NatterError], is_abrupt: bool) -> None:
        if self._is_closed:
            return
        self._is_closed, self._is_ready = True, False
        if self._connection and is_abrupt:
            self._connection.abort()
        elif self._connection:
            self._connection.end()
        why = error or NatterError("closed", "the client was closed")
        for line in list(self._lines.values()):
            self._refuse(line, why)
        self._ask_again()
        for question in self._questions:
            if not question.done.done():
                question.done.set_exception(why)
        self._questions = []
        self._settled.set()
        self._emit("closed", error)

    def _lost(self, error: NatterError) -> None:
        if self._is_closed:
            return
        connection, self._connection = self._connection, None
        self._is_ready = False
        if connection:
            connection.abort()
        for topic in self._topics.values():
            topic.is_joined = False
        if CODES.get(error.code) == "frame":
            self._blame(connection, error)
        self._ask_again()
        if CODES.get(error.code) == "stop" or not self._reconnect:
            return self._end(error, is_abrupt=True)
        pause = self._pause * random.uniform(0.75, 1.25)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        self._emit("disconnected", error)
        self._spawn(self._return(pause))
        return None

    async def _return(self, pause: float) -> None:
        await asyncio.sleep(pause)
        if not self._is_closed and not self._connection:
            await self._begin()

    def _blame(self, connection: Optional[_Connection], error: NatterError) -> None:
        """If it was a message that the server can't read, it was the longest one."""
        sent = [line for line in self._lines.values() if line.sent_on is connection]
        if sent:
            longest = max(sent, key=lambda line: line.bytes)
            if error.code == "too-long":
                self._limit = min(self._limit, longest.bytes - 1)
            self._refuse(longest, NatterError(error.code, error.text, topic=longest.topic, id=longest.id))
        elif self._asked:
            self._asked.done.set_exception(error)
            self._asked = None

    def _refuse(self, line: _Line, error: NatterError) -> None:
        if self._lines.pop(line.id, None) and not line.done.done():
            line.done.set_exception(NatterError(error.code, error.text, topic=line.topic, id=line.id))
        if not self._lines:
            self._settled.set()

    def _on_frame(self, frame: Dict[str, Any]) -> None:
        if "message" in frame:
            return self._on_message(_message(frame))
        for kind, value in frame.get("extended", {}).items():
            if kind == "error":
                self._on_error(value)
            elif kind == "ack":
                self._on_ack(value)
            elif kind == "gap":
                self._on_gap(value)
            elif self._asked and self._asked.kind == kind:
                self._on_answer(value)
            else:
                self._emit(kind, value)
        return None

    def _on_answer(self, value: Any) -> None:
        question, self._asked = self._asked, None
        if question and question.kind == "registered":
            names = [name for name in value["topics"] if name in self._topics and not self._topics[name].is_joined]
            self._on_registered(value, names)
            for line in list(self._lines.values()):
                self._transmit(line)
        if question and not question.done.done():
            question.done.set_result(value)
        self._next()

    def _on_message(self, message: Message) -> None:
        topic = self._topics.get(message.topic)
        if topic is None:
            return
        if message.seq is not None and topic.place:
            if message.seq <= topic.place.seq:
                return
            topic.place, topic.start = Place(topic.place.epoch, message.seq), None
        self._emit("message", message)

    def _on_ack(self, ack: Dict[str, Any]) -> None:
        topic, line = self._topics.get(ack["topic"]), self._lines.pop(ack["id"], None)
        # One's own message is never sent back. What is before it may still be on its way.
        if topic and topic.place and ack["seq"] == topic.place.seq + 1:
            topic.place = Place(topic.place.epoch, ack["seq"])
        if line and not line.done.done():
            line.done.set_result(Ack(ack["topic"], ack["seq"], ack["id"]))
        if not self._lines:
            self._settled.set()

    def _on_gap(self, gap: Dict[str, Any]) -> None:
        topic = self._topics.get(gap["topic"])
        if topic and topic.place:
            topic.place = Place(topic.place.epoch, max(topic.place.seq, gap["to"]))
        self._emit("gap", gap)

    def _on_error(self, told: Dict[str, Any]) -> None:
        code, id = told["code"], told.get("id")
        line = self._lines.get(id) if id is not None else None
        error = NatterError(code, told["text"], id=id, topic=line.topic if line else None)
        if id is None and self._asked and CODES.get(code) in ("request", "again"):
            question, self._asked = self._asked, None
            if not question.done.done():
                question.done.set_exception(error)
            return self._next()
        if id is None:
            return self._emit("error", error)
        if line is None:
            return None
        line.attempts += 1
        if CODES.get(code) != "again" or line.attempts >= _MOST_ATTEMPTS:
            return self._refuse(line, error)
        return self._spawn(self._send_again(line))

    async def _send_again(self, line: _Line) -> None:
        await asyncio.sleep(_FIRST_PAUSE * line.attempts)
        line.sent_on = None
        if line.id in self._lines:
            self._transmit(line)
