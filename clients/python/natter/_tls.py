"""Where a server is, and whether it is the right one: ``tls://HOST:PORT#sha256:BASE64``."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import ssl
from typing import Any, NamedTuple, Optional, Tuple

from ._types import NatterError


class Address(NamedTuple):
    """As it is written: ``HOST:PORT``, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``, that one
    with the fingerprint of the server's key or without."""

    host: str
    port: int
    is_tls: bool
    #: SHA-256 of the key, in base64.
    pin: Optional[str]

    @classmethod
    def read(cls, text: str) -> "Address":
        scheme, _, rest = text.rpartition("://")
        place, _, fragment = rest.partition("#")
        host, _, port = place.rpartition(":")
        pin = fragment[len("sha256:"):] if fragment.startswith("sha256:") else None
        is_known = scheme in ("", "tcp", "tls") and host and port.isdigit()
        if not is_known or (fragment and (pin is None or scheme != "tls")):
            raise ValueError(f"{text!r} is no address: HOST:PORT, tls://HOST:PORT or tls://HOST:PORT#sha256:FINGERPRINT")
        return cls(host.strip("[]"), int(port), scheme == "tls", pin)

    def context(self, ca: Optional[str]) -> Optional[ssl.SSLContext]:
        """How TLS is spoken; None for plain TCP."""
        if not self.is_tls:
            return None
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["natter/1"])
        if self.pin is not None:
            # The key is compared instead, before anything is sent.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def check(self, writer: Any, has_secret: bool) -> None:
        """The server has the right key, and a secret doesn't leave this machine in plain text."""
        tls = writer.get_extra_info("ssl_object")
        if tls is None:
            ip, _ = split(writer.get_extra_info("peername"))
            if has_secret and not ip.is_loopback:
                raise NatterError("tls-required", "a credential isn't sent to another machine in plain text: use tls://, or insecure_auth")
        elif self.pin is not None:
            found = fingerprint(tls.getpeercert(binary_form=True))
            if found.rstrip("=") != self.pin.rstrip("="):
                raise NatterError("wrong-key", f"the server's key should be sha256:{self.pin}, and is sha256:{found}")


def split(peer: Any) -> Tuple[Any, int]:
    ip = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    return getattr(ip, "ipv4_mapped", None) or ip, peer[1]


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate's key with its algorithm, in base64."""
    start, _ = _content(certificate, 0)
    at, _ = _content(certificate, start)
    # Before the key: the version, if it is there, number, algorithm, issuer, dates, subject.
    for _ in range(6 if certificate[at] == 0xA0 else 5):
        at = _content(certificate, at)[1]
    key = certificate[at : _content(certificate, at)[1]]
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def _content(data: bytes, at: int) -> Tuple[int, int]:
    """Where the content of an element of DER begins, and where the next element does."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    return start, start + length
