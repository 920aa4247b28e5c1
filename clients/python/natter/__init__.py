"""Publish to topics of a topicserver and subscribe to them, over connections that may be
lost. docs/protocol.md is the protocol, README.md shows how to use it."""

from ._blocking import Session, publish
from ._client import Client, connect
from ._types import CODES, Ack, Joined, Message, NatterError, Place, Range

__all__ = ["CODES", "Ack", "Client", "Joined", "Message", "NatterError", "Place", "Range"]
__all__ += ["Session", "connect", "publish"]
