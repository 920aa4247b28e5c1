"""A participant, over connections that may be lost."""

import asyncio
import contextlib
import random
import secrets
from dataclasses import dataclass, field, replace
from typing import Any, AsyncIterator, Callable, Dict, List, Optional

from ._connection import TIMEOUT, Connection, encode
from ._tls import Addresses, Auth, Server
from ._types import Ack, Frame, Joined, Message, NatterError, Place, Range
from ._types import check_topic, check_user, message_of, refuse_if, settle, without_none

# Topics in a registration: so many of the longest names fit into a frame.
_MOST_TOPICS = 50
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0
# A message that the server's disk did not accept in time is sent again so often.
_MOST_ATTEMPTS = 6
_CLOSED = ("closed", "the client was closed")
# So long a server has to accept a connection while there is another one to try.
_HEAD_START = 2.0


@dataclass(eq=False)
class _Topic:
    # What a registration asks for, until the place is known.
    start: Optional[Frame]
    place: Place
    # Done when the server has answered the first registration.
    joined: asyncio.Future[Joined] = field(default_factory=asyncio.Future)
    joined_on: Optional[Connection] = None

    def see(self, seq: Optional[int]) -> bool:
        """Whether this number is new. If so, it is the last that was seen."""
        is_new = seq is None or seq > self.place.seq
        if is_new and seq is not None:
            self.place, self.start = self.place._replace(seq=seq), None
        return is_new


@dataclass(eq=False)
class _Request:
    """A message or a question: sent over one connection after the other until it is answered."""

    frame: Frame
    # What the answer is called.
    kind: str
    # The topics that it goes to or joins, by name.
    topics: Dict[str, _Topic] = field(default_factory=dict)
    # For errors: the topic's name and the message's id.
    about: Dict[str, str] = field(default_factory=dict)
    done: asyncio.Future[Any] = field(default_factory=asyncio.Future)
    # Which one this is.
    attempt: int = 1
    sent_on: Optional[Connection] = None


async def connect(
    address: Addresses, *, user: Optional[str] = None, client: Optional[str] = None,
    reconnect: bool = True, max_frame: int = 65536, auth: Auth = None,
    insecure_auth: bool = False, ca: Optional[str] = None,
) -> "Client":
    """Connects to ``HOST:PORT``, or over TLS to ``tls://HOST:PORT`` or
    ``tls://HOST:PORT#sha256:FINGERPRINT``. Raises ``connection-lost`` if that can't be,
    ``name-taken`` if somebody has the name, and what else the server says against it. Several
    addresses of one service, in a list or separated by commas, are tried from a random one on.

    ``client`` is a random secret: who comes with it again is the same publisher. Frames have at
    most ``max_frame`` bytes; a server with default settings takes 65536. With
    ``reconnect=False``, the client ends when the connection does. ``auth`` is a token, or
    ``{"user": …, "password": …}``. It goes to another machine over TLS only, but with
    ``insecure_auth``. ``ca`` is a file with authorities' certificates."""
    if user is not None:
        check_user(user)
    secret = client or secrets.token_hex(16)
    about = {"client": secret, "ca": ca, "auth": auth, "insecure_auth": insecure_auth}
    made = Client(Server.read_all(address, **about), user, reconnect, max_frame)
    made._take(await made._open(user))
    return made


class Client(contextlib.AbstractAsyncContextManager["Client"]):
    """A participant; :func:`connect` makes it. It comes back by itself when a connection is
    lost."""

    def __init__(self, given: List[Server], user: Optional[str], can_return: bool, limit: int):
        # The addresses of the service, and those that a server has named; where we are.
        self._given, self._named, self._server = given, given[:0], given[0]
        self._wanted, self._can_return, self._limit = user, can_return, limit
        #: The name that the server granted.
        self.user: Optional[str] = None
        self._topics: Dict[str, _Topic] = {}
        # Messages that are not acknowledged, by id, and questions that are not answered. Only
        # the first question is with the server, so that an error is known to be its answer.
        self._lines: Dict[str, _Request] = {}
        self._questions: List[_Request] = []
        self._connection: Optional[Connection] = None
        self._returning: Optional[asyncio.Future[None]] = None
        self._ended: Optional[NatterError] = None
        # When to leave a server that is ending and has sent us to those that it has named, or to
        # come back after it; 0 for no such moment.
        self._moment = 0.0
        self._pause, self._most_topics = _FIRST_PAUSE, _MOST_TOPICS
        self._ends: Frame = {}
        self._handlers: Dict[str, List[Callable[[Any], None]]] = {}

    async def __aexit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            self.abort()
        await self.close()

    @property
    def address(self) -> str:
        """Where we are, or were last: ``HOST:PORT``."""
        return f"{self._server.host}:{self._server.port}"

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection over which every topic is joined."""
        return self._connection is not None and self._connection.is_ready

    @property
    def topics(self) -> List[str]:
        """The topics that were joined."""
        return list(self._topics)

    def place(self, topic: str) -> Optional[Place]:
        """The last message that was seen of a topic; None if that is not known."""
        known = self._topics.get(topic)
        return known.place if known and known.place.epoch else None

    def on(self, event: str, handler: Callable[[Any], None]) -> Callable[[], None]:
        """Calls ``handler`` with each event; returns a function that ends it."""
        self._handlers.setdefault(event, []).append(handler)
        return lambda: self._handlers[event].remove(handler)

    def _emit(self, event: str, value: Any) -> None:
        for handler in list(self._handlers.get(event, [])):
            try:
                handler(value)
            except Exception as error:  # One handler's fault is not the connection's.
                about = {"message": f"in a handler of {event}", "exception": error}
                asyncio.get_running_loop().call_exception_handler(about)

    def messages(self) -> AsyncIterator[Message]:
        """Messages of all topics as they come, from now on, until the client is closed."""
        queue: asyncio.Queue[Optional[Message]] = asyncio.Queue()
        # The next message, or None at the end.
        end = self.on("next", queue.put_nowait)
        if self._ended:
            queue.put_nowait(None)

        async def read() -> AsyncIterator[Message]:
            try:
                while message := await queue.get():
                    yield message
            finally:
                end()

        return read()

    # Connections: taken, read, lost and made again.

    def _take(self, connection: Connection) -> None:
        """Goes on over this connection: first where we were, then what waits."""
        if self._ended:
            return connection.cancel()
        self._let_go()
        self._connection, self._ends = connection, connection.ends
        self.user = connection.registered.get("user")
        self._learn(connection.registered.get("servers"))
        connection.reading = asyncio.ensure_future(self._read(connection))
        self._questions = self._rejoin() + [one for one in self._questions if not one.done.done()]
        self._go_on()

    def _learn(self, servers: Optional[List[str]]) -> None:
        """The server names others, in the place of those before, or says nothing about that."""
        if servers is not None:
            self._named = self._server.named(servers, self._ends["destination"]["ip"])

    def _let_go(self) -> None:
        """Ends the connection, or the attempt to make another one."""
        for held in filter(None, (self._connection, self._returning)):
            held.cancel()
        self._connection = self._returning = None

    async def _open(self, user: Optional[str]) -> Connection:
        """Connects to the first server that takes us: of our own or, where one has sent us there,
        of those that it has named. The one that was tried last comes last."""
        is_sent, self._moment = self._moment > 0, 0.0
        left = self._named + self._given if is_sent else self._given + self._named
        while True:
            self._server = left.pop(0)
            self._given.sort(key=lambda one: one is self._server)
            try:
                return await Connection.open(self._server, user, _HEAD_START if left else TIMEOUT)
            except NatterError as error:
                if not left or self._is_refused(error):
                    raise

    def _is_refused(self, error: NatterError) -> bool:
        """Whether the service refuses us. A server that only another one has named can't do that:
        it is left. Of several servers with known keys, those with others are passed over."""
        is_final = error.treatment in ("request", "frame", "stop", "wrong-key")
        if self._server in self._given or error.code in ("name-taken", "replaced"):
            return is_final and (error.code != "wrong-key" or len(self._given) == 1)
        self._named = [one for one in self._named if not is_final or one is not self._server]
        return False

    async def _read(self, connection: Connection) -> None:
        try:
            while True:
                for kind, value in await connection.read():
                    if connection is self._connection:
                        self._on_event(kind, value)
        except Exception:  # The network is gone, or what comes is no frame.
            self._lost(connection.reason, connection)

    def _lost(self, error: NatterError, connection: Optional[Connection]) -> None:
        """The connection is lost, if it is still this one, or none could be made."""
        if self._ended or connection is not self._connection:
            return
        self._let_go()
        # Who isn't accepted at first will not be later.
        can_end = connection is None or error.treatment == "stop"
        if can_end and self._is_refused(error) or not self._can_return:
            return self._end(error)
        # Where the moment is over, there is no pause.
        pause = self._moment - asyncio.get_running_loop().time() if self._moment else self._pause
        self._returning = asyncio.ensure_future(self._come_back(pause))
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        if connection and error.treatment == "frame":
            self._blame(connection, error)
        self._emit("disconnected", error)

    async def _come_back(self, pause: float, refusal: Optional[NatterError] = None) -> None:
        await asyncio.sleep(pause * random.uniform(0.75, 1.25))
        try:
            connection = await self._open(None if refusal else self._wanted)
        except NatterError as error:
            # Where somebody has taken the name meanwhile, we go on without one.
            is_taken = error.code == "name-taken"
            return await self._come_back(0, error) if is_taken else self._lost(error, None)
        connection.refusal = refusal
        self._take(connection)

    def _blame(self, connection: Connection, error: NatterError) -> None:
        """The server can't read something that was sent. If it was a message, it was the
        longest one: it would be refused again over every connection. Otherwise it was the
        question."""
        sent = [line for line in self._lines.values() if line.sent_on is connection]
        if sent:
            longest = max(sent, key=lambda line: len(encode(line.frame, connection.ends)))
            if error.code == "too-long":
                self._limit = min(self._limit, len(encode(longest.frame, connection.ends)) - 1)
            self._refuse(longest, error)
        elif self._questions:
            self._on_answer(self._questions.pop(0), error)

    async def rename(self, user: str) -> None:
        """Takes another name. The old one is kept until the server has granted the new one."""
        check_user(user)
        if user != self.user and self._connection:
            self._take(await Connection.open(self._server, user, TIMEOUT))
        # Without a connection, the next one is made with it.
        self._wanted = user

    async def close(self) -> None:
        """Waits until everything was acknowledged or refused, and disconnects."""
        while self._lines:
            await asyncio.wait([line.done for line in self._lines.values()])
        connection, self._connection = self._connection, None
        self._end(None)
        if connection:
            # Who leaves all topics gives the name back at once.
            for topic in self._topics:
                connection.send({"extended": {"leave": [topic]}})
            await connection.end()

    def abort(self) -> None:
        """Disconnects at once."""
        self._end(None)

    def _end(self, error: Optional[NatterError]) -> None:
        if self._ended:
            return
        self._ended = error or NatterError(*_CLOSED)
        self._let_go()
        for request in [*self._lines.values(), *self._questions]:
            self._refuse(request, self._ended)
        self._emit("closed", error)
        self._emit("next", None)

    # Questions, one after another; those that join topics are some of them.

    async def join(
        self, topic: str, *, last: Optional[int] = None, since: Optional[int] = None,
        resume: Optional[Place] = None,
    ) -> Joined:
        """Takes part in a topic. A topic that was joined before answers where it is.

        The first messages are the ``last`` so many, or those ``since`` a time in milliseconds
        since 1970, or all after the place where to ``resume``."""
        check_topic(topic)
        refuse_if(self._ended, *_CLOSED, topic=topic)
        if topic not in self._topics:
            start = None if resume else without_none({"last": last, "since": since})
            self._topics[topic] = _Topic(start, Place(*resume or ("", 0)))
            self._go_on(self._registration([topic]))
        return await asyncio.shield(self._topics[topic].joined)

    def _registration(self, names: List[str]) -> _Request:
        topics = {name: self._topics[name] for name in names}
        first = topics[names[0]]
        places = {name: topic.place._asdict() for name, topic in topics.items()}
        about = {"resume": places} if first.start is None else first.start
        frame = {"topics": names, "extended": about}
        return _Request(frame, "registered", topics, {"topic": names[0]}, first.joined)

    def _rejoin(self) -> List[_Request]:
        known = {name: topic.start for name, topic in self._topics.items() if topic.joined.done()}
        parts = [[name] for name, start in known.items() if start is not None]
        again = [name for name, start in known.items() if start is None]
        for at in range(0, len(again), self._most_topics):
            parts.append(again[at : at + self._most_topics])
        return [self._registration(part) for part in parts]

    async def leave(self, topic: str) -> None:
        """Leaves a topic."""
        self._drop(topic, NatterError("not-registered", "the topic was left"))
        await self._ask("registered", {"leave": [topic]})

    async def who(self, topic: str) -> Dict[str, Any]:
        """Who is in a topic: ``topic``, ``count``, ``users``."""
        check_topic(topic)
        return dict(await self._ask("members", {"who": topic}))

    async def lookup(self, user: str) -> Dict[str, str]:
        """Where a user can be reached: ``user``, ``ip``, ``port``."""
        return dict(await self._ask("found", {"lookup": user}))

    async def list(self) -> Any:
        """The server's topics: each with ``topic``, ``members``, ``seq``."""
        return await self._ask("topics", {"topics": {}})

    async def history(
        self, topic: str, *, before: Optional[int] = None, limit: Optional[int] = None
    ) -> Range:
        """Messages before a number, or the newest ones, in their order."""
        check_topic(topic)
        wanted = without_none({"topic": topic, "before": before, "limit": limit})
        answer = await self._ask("history", {"history": wanted})
        messages = [message_of(frame) for frame in answer["messages"]]
        return Range(topic, answer["epoch"], answer["first"], messages)

    async def _ask(self, kind: str, asked: Frame) -> Any:
        """Asks when there is a connection; again if that is lost before the answer."""
        refuse_if(self._ended, *_CLOSED)
        question = _Request({"extended": asked}, kind)
        self._go_on(question)
        return await question.done

    def _on_answer(self, asked: _Request, answer: Any) -> None:
        # But for topics that were left since, even if they were joined again.
        names = [name for name, topic in asked.topics.items() if self._topics.get(name) is topic]
        if isinstance(answer, NatterError):
            self._on_denied(asked, names, answer)
        else:
            for name in names:
                self._on_joined(name, self._topics[name], answer["topics"][name])
            settle(asked.done, answer)
        self._go_on()

    def _on_denied(self, asked: _Request, names: List[str], error: NatterError) -> None:
        if asked.done.done() and self._server not in self._given and not self._is_refused(error):
            # What one that nobody has chosen refuses, another one may not.
            return self._lost(NatterError("connection-lost", error.text), self._connection)
        if len(asked.topics) > 1:  # One by one, the server may accept some of them.
            self._most_topics = 1 if error.treatment == "frame" else self._most_topics
            self._questions[:0] = [self._registration([name]) for name in names]
        elif names:
            self._drop(names[0], error)
            if asked.done.done():
                self._emit("refused", NatterError(error.code, error.text, topic=names[0]))
        self._refuse(asked, error)

    def _on_joined(self, name: str, topic: _Topic, state: Frame) -> None:
        epoch, seq, start = state["epoch"], state["seq"], topic.start
        is_reset = topic.place.epoch != epoch or seq < topic.place.seq
        topic.place = Place(epoch, 0) if is_reset else topic.place
        topic.joined_on = self._connection
        if start is None and topic.joined.done():
            about = {"topic": name, **state, "missed": seq - topic.place.seq, "is_reset": is_reset}
            self._emit("resumed", about)
        # With a time alone, the place is known when the first message has come.
        if start is not None and (list(start) != ["since"] or seq == 0):
            topic.place, topic.start = Place(epoch, max(0, seq - start.get("last", 0))), None
        settle(topic.joined, Joined(name, epoch, seq, state.get("recovered")))

    def _drop(self, name: str, error: NatterError) -> None:
        """Leaves a topic, and refuses what waits for it."""
        self._topics.pop(name, None)
        for request in [*self._lines.values(), *self._questions]:
            if name in request.topics:
                self._refuse(request, error)

    # Messages and questions: sent until they are answered.

    def publish(self, topic: str, text: str, *, id: Optional[str] = None) -> asyncio.Future[Ack]:
        """Publishes. The future is done when the server has acknowledged the message, over
        however many connections; it fails when the server refuses it. A message that is on its
        way already, with the same ``id``, has one future."""
        about = {"topic": topic, "id": secrets.token_hex(9) if id is None else id}
        refuse_if(self._ended, *_CLOSED, **about)
        refuse_if(topic not in self._topics, "not-registered", f"join {topic!r} first", **about)
        said = {"extended": {"id": about["id"]}, "message": {"topic": topic, "text": text}}
        same = self._lines.get(about["id"])
        if same and same.frame == said:
            return same.done
        refuse_if(same, "duplicate-id", "another message with this id is on its way", **about)
        size = len(encode(said, self._ends))
        problem = f"a frame has at most {self._limit} bytes; this one has {size}"
        refuse_if(size > self._limit, "too-long", problem, **about)
        line = self._lines[about["id"]] = _Request(said, "ack", {topic: self._topics[topic]}, about)
        self._transmit(line)
        return line.done

    def _transmit(self, request: _Request) -> None:
        """Sends it over this connection, when its time has come and if it was not sent."""
        connection = self._connection
        if not connection or request.sent_on is connection:
            return
        is_joined = all(topic.joined_on is connection for topic in request.topics.values())
        if request.kind != "ack" or (is_joined and connection.is_ready and not connection.refusal):
            request.sent_on = connection
            connection.send(request.frame)

    def _go_on(self, *more: _Request) -> None:
        """Sends what can be sent, these questions last: only the first one, so that an error is
        known to be its answer. A new connection is ready when no question is left that joins
        topics again: it has been answered before."""
        self._questions += more
        asked = self._questions[:1]
        if connection := self._connection:
            is_new = not (connection.is_ready or any(question.done.done() for question in asked))
            connection.is_ready = connection.is_ready or is_new
            for request in [*asked, *self._lines.values()]:
                self._transmit(request)
            if is_new:
                self._pause = _FIRST_PAUSE
                self._emit("connected", self.user)
            if is_new and connection.refusal:
                self._emit("nameless", connection.refusal)

    def _on_event(self, kind: str, value: Any) -> None:
        if kind == "error" and value.id is not None:
            return self._on_refused(value)
        is_refusal = kind == "error" and value.treatment in ("request", "again")
        if self._questions and (is_refusal or kind == self._questions[0].kind):
            return self._on_answer(self._questions.pop(0), value)
        if kind == "reconnect" and self._can_return:
            # The server is ending. Not all of its clients leave it in the same moment, and it
            # isn't waited for longer than ten minutes.
            loop, error = asyncio.get_running_loop(), NatterError("shutting-down", "it is ending")
            self._moment = loop.time() + random.uniform(0, min(value["within"] / 1000, 600))
            self._learn(value.get("servers") or None)
            loop.call_at(self._moment, self._lost, error, self._connection)
        if kind == "ack":
            return self._on_ack(Ack(value["topic"], value["seq"], value["id"]))
        if kind == "gap" and value["topic"] in self._topics:
            self._topics[value["topic"]].see(value["to"])
        if kind == "message":
            topic = self._topics.get(value.topic)
            if topic is None or not topic.see(value.seq):
                return
            self._emit("next", value)
        self._emit(kind, value)

    def _on_ack(self, ack: Ack) -> None:
        topic, line = self._topics.get(ack.topic), self._lines.pop(ack.id, None)
        # One's own message is never sent back. What is before it may still be on its way.
        if topic and ack.seq == topic.place.seq + 1:
            topic.see(ack.seq)
        if line:
            settle(line.done, ack)

    def _on_refused(self, error: NatterError) -> None:
        """The server refuses a message, for ever or for now."""
        line = self._lines.get(error.id or "")
        if line and (error.treatment != "again" or line.attempt == _MOST_ATTEMPTS):
            self._refuse(line, error)
        elif line:
            self._lines[line.about["id"]] = replace(line, sent_on=None, attempt=line.attempt + 1)
            asyncio.get_running_loop().call_later(_FIRST_PAUSE * line.attempt, self._go_on)

    def _refuse(self, request: _Request, error: NatterError) -> None:
        self._lines.pop(request.about.get("id", ""), None)
        settle(request.done, NatterError(error.code, error.text, **request.about))
