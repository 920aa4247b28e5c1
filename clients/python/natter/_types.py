"""What a client gets and says: messages, places, errors and their codes."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

Frame = Dict[str, Any]

# What each error code of docs/protocol.md does. It refuses a registration or a question
# (request), or a message with an id, for ever or for now (message, again); it closes the
# connection because of something that was sent (frame), or to come back (return) or not
# (stop); it refuses nothing (notice), or comes only over HTTP (http).
_TREATMENTS = {
    "request": ["not-an-object", "unknown-frame", "bad-frame", "bad-topic", "too-many-topics", "name-taken",
                "unknown-user", "unauthenticated", "forbidden", "name-reserved"],
    "message": ["storage-full", "not-registered", "duplicate-id"], "again": ["storage-busy"],
    "frame": ["not-json", "not-utf8", "too-deep", "too-long"],
    "return": ["registration-timeout", "unfinished-frame", "slow-reader", "queues-full", "too-many-connections",
               "shutting-down", "too-many-attempts", "try-later"],
    "stop": ["replaced", "tls-not-supported", "tls-required", "busy", "protected", "expired", "revoked"],
    "notice": ["rate-limited"],
    "http": ["bad-request", "forbidden-origin", "forbidden-host", "not-found", "method-not-allowed"],
}
#: What a client does about each error code.
CODES: Dict[str, str] = {code: treatment for treatment, codes in _TREATMENTS.items() for code in codes}


def is_refusal(code: str) -> bool:
    return CODES.get(code) in ("request", "again")


class NatterError(Exception):
    """What went wrong: ``code`` is one of docs/protocol.md, ``connection-lost``, ``wrong-key`` or
    ``closed``."""

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


def message_of(frame: Frame) -> Message:
    extended, message = frame.get("extended", {}), frame["message"]
    return Message(message["topic"], message["text"], extended.get("user"), extended.get("seq"), extended.get("time"))


def check(problem: Optional[str], code: str, topic: Optional[str] = None, id: Optional[str] = None) -> None:
    if problem:
        raise NatterError(code, problem, topic=topic, id=id)


def _name_problem(what: str, name: str) -> Optional[str]:
    if not name:
        return f"{what} can't be empty"
    if any("\ud800" <= c <= "\udfff" for c in name):
        return f"{what} is whole characters"
    has_control = any(c < " " or "\x7f" <= c <= "\x9f" for c in name)
    return f"{what} holds no control character" if has_control else None


def check_topic(name: str) -> None:
    check(_name_problem("a topic's name", name), "bad-topic", name)
    length = len(name.encode())
    check(f"a topic's name has at most 255 bytes; this one has {length}" if length > 255 else None, "bad-topic", name)


def check_user(name: str) -> None:
    check(_name_problem("a name", name), "bad-frame")
    check(f"a name has at most 64 characters; this one has {len(name)}" if len(name) > 64 else None, "bad-frame")
