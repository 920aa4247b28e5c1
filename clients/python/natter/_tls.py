"""Where a server is, whether it is the right one, and by what we prove to it who we are."""

import base64
import hashlib
import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Tuple, Union

from ._types import refuse_if

Auth = Union[None, str, Dict[str, str]]

_ADDRESS = re.compile(r"(?:(tcp|tls)://)?\[?([^#/\[\]]+)\]?:(\d+)(?:#sha256:([\w+/]+)=*)?", re.A)
_PLAIN = "a credential isn't sent to another machine in plain text: use tls://, or insecure_auth"


@dataclass(frozen=True)
class Server:
    """A server and how it is spoken to. :meth:`read` reads an address as it is written."""

    host: str
    port: int
    is_tls: bool
    #: SHA-256 of the server's key in base64, without the padding, if it is known.
    pin: Optional[str] = None
    #: A file with certificates of authorities, instead of the system's.
    ca: Optional[str] = None
    # What follows is secret, and not shown, so that no log has it.
    #: By this it knows us again.
    client: str = field(default="", repr=False)
    #: By this we prove who we are: a token, or ``{"user": …, "password": …}``.
    auth: Auth = field(default=None, repr=False)
    insecure_auth: bool = False

    @classmethod
    def read(cls, address: str, **options: Any) -> "Server":
        """``HOST:PORT``, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``, that one with
        ``#sha256:FINGERPRINT`` or without. Anything else is a ``ValueError``."""
        found = _ADDRESS.fullmatch(address)
        if found is None or (found[4] and found[1] != "tls"):
            raise ValueError(f"{address!r} is no address: [tls://]HOST:PORT[#sha256:FINGERPRINT]")
        return cls(found[2], int(found[3]), found[1] == "tls", found[4], **options)

    def context(self) -> Optional[ssl.SSLContext]:
        """How TLS is spoken; None for plain TCP."""
        if not self.is_tls:
            return None
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(["natter/1"])
        if self.pin is not None:
            # The key is compared instead, before anything is sent.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def check(self, session: Any, ip: str) -> None:
        """Raises ``wrong-key`` if this session of TLS is with a server that has another key, and
        ``tls-required`` if a secret would go to another machine without TLS."""
        found = fingerprint(session.getpeercert(binary_form=True)) if self.pin else None
        problem = f"the server's key should be sha256:{self.pin}, and is sha256:{found}"
        refuse_if(found != self.pin, "wrong-key", problem)
        if session is None and self.auth is not None and not self.insecure_auth:
            there: Any = ipaddress.ip_address(ip.partition("%")[0])
            is_here = (getattr(there, "ipv4_mapped", None) or there).is_loopback
            refuse_if(not is_here, "tls-required", _PLAIN)


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate's key with its algorithm, in base64 without the padding."""
    start, _ = _content(certificate, 0)
    at, _ = _content(certificate, start)
    # Before the key: the version, if it is there, number, algorithm, issuer, dates, subject.
    for _ in range(6 if certificate[at] == 0xA0 else 5):
        at = _content(certificate, at)[1]
    key = certificate[at : _content(certificate, at)[1]]
    return base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _content(data: bytes, at: int) -> Tuple[int, int]:
    """Where the content of an element of DER begins, and where the next element does."""
    # A length of more than 127 follows the number of its bytes, to which 128 is added.
    first = data[at + 1]
    start = at + 2 + max(0, first - 0x80)
    return start, start + int.from_bytes(data[at + 2 : start] or bytes([first & 0x7F]), "big")
