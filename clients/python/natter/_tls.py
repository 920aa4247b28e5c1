"""Where a server is, whether it is the right one, and by what we prove to it who we are."""

import base64
import hashlib
import random
import re
import ssl
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from ._types import refuse_if

Auth = Union[None, str, Dict[str, str]]
Addresses = Union[str, Sequence[str]]

_ADDRESS = re.compile(r"(?:(tcp|tls)://)?\[?([^#/\[\]]+)\]?:(\d+)(?:#sha256:([\w+/]+)=*)?", re.A)
# More of them are not tried.
_MOST_SERVERS = 16
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
    def read_all(cls, addresses: Addresses, **options: Any) -> List["Server"]:
        """The addresses of one service, separated by commas or as a list; in a random order, so
        that clients with the same list spread over the servers. Where one is for TLS, the bare
        ones are: who could keep us from it would read along at a plain one."""
        given = addresses.split(",") if isinstance(addresses, str) else addresses
        is_secure = any(one.strip().startswith("tls://") for one in given)
        servers = [cls.read(one.strip(), is_secure, **options) for one in given]
        return random.sample(servers, len(servers))

    @classmethod
    def read(cls, address: str, is_secure: bool = False, **options: Any) -> "Server":
        """``HOST:PORT``, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``, that one with
        ``#sha256:FINGERPRINT`` or without. Anything else is a ``ValueError``."""
        found = _ADDRESS.fullmatch(address)
        if found is None or (found[4] and found[1] != "tls"):
            raise ValueError(f"{address!r} is no address: [tls://]HOST:PORT[#sha256:FINGERPRINT]")
        is_tls = found[1] == "tls" or is_secure and not found[1]
        if is_secure and not is_tls and not is_here(found[2]):
            raise ValueError(f"{address!r} is plain text, beside an address for TLS")
        return cls(found[2], int(found[3]), is_tls, found[4], **options)

    def named(self, texts: Sequence[str], ip: str) -> List["Server"]:
        """The servers that this one names, from this end of the connection. What could be forged
        on the way is not sent a credential, no way leads from TLS to plain text, and no other
        machine knows what listens on this one."""
        is_safe = self.auth is None or self.is_tls or is_here(ip)
        found = [_ADDRESS.fullmatch(f"tls://{text}") for text in texts[:_MOST_SERVERS] if is_safe]
        right = [one for one in found if one and (is_here(ip) or not is_here(one[2]))]
        ours = replace(self, insecure_auth=False)
        return [replace(ours, host=a[2], port=int(a[3]), pin=a[4] or self.pin) for a in right]

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
            refuse_if(not is_here(ip), "tls-required", _PLAIN)


def is_here(host: str) -> bool:
    """Whether this is an address of this machine."""
    return bool(re.fullmatch(r"localhost|(::ffff:)?127\.\d+\.\d+\.\d+|::1", host))


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate's key with its algorithm, in base64 without the padding."""
    at, _ = _content(certificate, _content(certificate, 0)[0])
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
