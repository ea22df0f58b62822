"""Which TLS does the issuer speak?  It asks for a client certificate, and picks up rotated files by itself.

- A client may come without a certificate (``/jwks`` is for everybody), but never with one that does not verify.
- TLS 1.2 at least.  No session tickets: they would carry a client's old verification past a change of the CA.
- Listed self-signed certificates are taken for what they are (``self_signed.py``).
- New files serve new connections.  Files that do not fit together are reported and the last good ones stay.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ott_extauthz.wire.files import ChangingFiles


class TlsFilesError(Exception):
    """The TLS files cannot be used; the message names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The server's certificate and key, and the authorities whose client certificates count.

    ``self_signed`` are certificates that count by themselves, in DER.  Without either nobody is asked for one.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    self_signed: tuple[bytes, ...] = ()

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [path for path in (self.certificate, self.key, self.client_ca) if path is not None]


class RotatingContext(ssl.SSLContext):
    """Hands every new connection to a context made of the files as they are now.

    A context of its own for each set of files, because one that exists only ever gains authorities: a CA taken out of
    the file would go on being trusted.  It has no certificate itself, so whatever passes it by cannot shake hands.
    """

    def __new__(cls, files: TlsFiles, *, on_fault: Callable[[str], None]) -> Self:  # noqa: ARG004
        """Make a bare server context; ``SSLContext`` wants the protocol here."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, files: TlsFiles, *, on_fault: Callable[[str], None]) -> None:
        self._files = files
        self._changes = ChangingFiles(files.paths)
        self._on_fault = on_fault
        self._current = _context(files)
        self._is_outdated = False

    def judge(self, self_signed: tuple[bytes, ...]) -> None:
        """Try these certificates in place of those listed; nothing changes.  From any thread.

        Raises:
            TlsFilesError: no context can be made with them.
        """
        _context(replace(self._files, self_signed=self_signed))

    def relist(self, self_signed: tuple[bytes, ...]) -> None:
        """Have new connections know these self-signed certificates and no other.  From any thread."""
        if self_signed != self._files.self_signed:
            self._files = replace(self._files, self_signed=self_signed)
            self._is_outdated = True  # read by the thread of the event loop alone, which makes the context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - the standard library's signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Start one connection; this is where both asyncio and uvloop come for it."""
        if self._changes.have_changed() or self._is_outdated:
            self._renew()
        return self._current.wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def _renew(self) -> None:
        was_outdated, self._is_outdated = self._is_outdated, False  # first: a listing that comes now is one more turn
        try:
            self._current = _context(self._files)
        except TlsFilesError as error:  # caught between two files of a rotation; the second one's change comes next
            self._is_outdated |= was_outdated
            self._on_fault(type(error).__name__)


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    if files.client_ca is not None or files.self_signed:
        context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    try:
        # An encrypted key would make OpenSSL ask for its password on the terminal.
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
        if files.client_ca is not None:
            context.load_verify_locations(files.client_ca)
        for certificate in files.self_signed:
            context.load_verify_locations(cadata=certificate)
    except OSError as error:  # SSLError is one
        why = error.strerror or getattr(error, "reason", None) or type(error).__name__
        raise TlsFilesError(f"TLS files {', '.join(map(str, files.paths))}: {why}") from None
    return context
