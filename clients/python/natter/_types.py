"""What a client gets and says: messages, places, errors and their codes."""

import asyncio
import re
from typing import Any, Dict, List, NamedTuple, Optional

Frame = Dict[str, Any]

# Whole characters, and none that controls.
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")

# What each error code of docs/protocol.md does. It refuses a registration or a question
# (request), or a message with an id, for ever or for now (message, again); it closes the
# connection because of something that was sent (frame), or to come back (return) or not
# (stop); it refuses nothing (notice), or comes only over HTTP (http).
_TREATMENTS = {
    "request": "not-an-object unknown-frame bad-frame bad-topic too-many-topics name-taken "
               "unknown-user unauthenticated forbidden name-reserved",
    "message": "storage-full not-registered duplicate-id",
    "again": "storage-busy no-quorum",
    "frame": "not-json not-utf8 too-deep too-long",
    "return": "registration-timeout unfinished-frame slow-reader queues-full "
              "too-many-connections shutting-down too-many-attempts try-later",
    "stop": "replaced tls-not-supported tls-required busy protected expired revoked",
    "notice": "rate-limited",
    "http": "bad-request forbidden-origin forbidden-host not-found method-not-allowed",
}
#: What a client does about each error code.
CODES = {code: kind for kind, codes in _TREATMENTS.items() for code in codes.split()}


class NatterError(Exception):
    """What went wrong: ``code`` is one of docs/protocol.md, ``connection-lost``, ``wrong-key`` or
    ``closed``; ``topic`` and ``id`` say of what, where that is known."""

    def __init__(self, code: str, text: str, **about: Optional[str]) -> None:
        super().__init__(f"{code}: {text}")
        self.code, self.text, self.topic, self.id = code, text, about.get("topic"), about.get("id")
        #: What a client does about it, as in CODES. Limits only slow down what is published, but
        #: for the one of new topics.
        self.treatment = CODES.get(code, code) if about.get("limit") != "new-topics" else "request"


#: Something that was said. Without ``seq`` the server could not store it; ``time`` is when it got
#: it, in milliseconds since 1970.
Message = NamedTuple(
    "Message", [("topic", str), ("text", str), ("user", Optional[str]), ("seq", Optional[int]),
                ("time", Optional[int])])
#: The last message that was seen of a topic: where to resume.
Place = NamedTuple("Place", [("epoch", str), ("seq", int)])
#: Where a topic was when it was joined. ``recovered`` is of ``resume``: exactly what was missed
#: follows; False if the history was interrupted.
Joined = NamedTuple(
    "Joined", [("topic", str), ("epoch", str), ("seq", int), ("recovered", Optional[bool])])
#: Past messages, and the oldest number that the server still has.
Range = NamedTuple(
    "Range", [("topic", str), ("epoch", str), ("first", int), ("messages", List[Message])])
#: The server has a message.
Ack = NamedTuple("Ack", [("topic", str), ("seq", int), ("id", str)])


def message_of(frame: Frame) -> Message:
    """The message in a frame of the server's."""
    said, about = frame["message"], frame.get("extended", {})
    return Message(said["topic"], said["text"], *map(about.get, Message._fields[2:]))


def without_none(values: Frame) -> Frame:
    """The options that are given."""
    return {key: value for key, value in values.items() if value is not None}


def settle(done: asyncio.Future[Any], result: Any) -> None:
    """Gives a result or an error to whoever waits for it; they may have stopped waiting."""
    if not done.done():
        (done.set_exception if isinstance(result, Exception) else done.set_result)(result)


def refuse_if(is_wrong: Any, code: str, text: str, **about: Optional[str]) -> None:
    """Raises this error if something is wrong."""
    if is_wrong:
        raise NatterError(code, text, **about)


def check_topic(name: str) -> None:
    """Raises ``bad-topic`` for what can't be the name of a topic."""
    size = len(name.encode("utf-8", "surrogatepass"))
    problem = f"{name!r} has {size} bytes; a topic has 1 to 255, and no control character"
    refuse_if(size > 255 or not _NAME.fullmatch(name), "bad-topic", problem, topic=name)


def check_user(name: str) -> None:
    """Raises ``bad-frame`` for what can't be the name of a user."""
    problem = f"{name!r} has {len(name)} characters; a name has 1 to 64, and no control character"
    refuse_if(len(name) > 64 or not _NAME.fullmatch(name), "bad-frame", problem)
