"""Which certificate is our own workload's at the moment?  The file that Envoy presents upstream, as it is now.

- A file that cannot be read in the middle of a rotation changes nothing: the last good one counts until it can.
- A new one counts when it has been there for :data:`SETTLE_SECONDS`.  Envoy must have it first: a connection that is
  opened for the new certificate's tokens and still shows the old one would be refused for as long as it lives.
"""

from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.ports import Clock
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.wire.files import ChangingFiles
from ott_extauthz.wire.issuer_peer import presented_from

SETTLE_SECONDS: Final = 1.0


class OwnCertificateError(Exception):
    """The file is no certificate that names at most one workload; the message does not quote it."""


class OwnCertificate:
    """A certificate file that may rotate; a look costs one ``stat``."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Read it.

        Raises:
            OwnCertificateError: it cannot be used.
        """
        self._path = path
        self._clock = clock
        self._changes = ChangingFiles([path])
        self._changed_at: float | None = None
        self.current = read_certificate(path)

    def has_changed(self) -> bool:
        """Look, and say whether ``current`` is another certificate than at the last look."""
        if self._changes.have_changed():
            self._changed_at = self._clock.monotonic()
        if self._changed_at is None or self._clock.monotonic() - self._changed_at < SETTLE_SECONDS:
            return False
        before = self.current.sha256
        try:
            self.current = read_certificate(self._path)
        except OwnCertificateError:
            self._changed_at = self._clock.monotonic()
            return False
        self._changed_at = None
        return self.current.sha256 != before


def read_certificate(path: Path) -> PresentedCertificate:
    """Return the first certificate in a PEM file.

    Raises:
        OwnCertificateError: there is none, or it names more than one workload.
    """
    try:
        der = x509.load_pem_x509_certificate(bounded(path)).public_bytes(Encoding.DER)
    except OSError as error:
        raise OwnCertificateError(f"cannot be read: {error.strerror or type(error).__name__}") from None
    except ValueError:
        raise OwnCertificateError("not a PEM certificate") from None
    certificate = presented_from(der)
    if certificate is None or not certificate.is_sound:
        raise OwnCertificateError("its names cannot be read, or it names more than one workload")
    return certificate
