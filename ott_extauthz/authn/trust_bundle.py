"""Who may sign for a trust domain?  A SPIFFE bundle: a JWK Set with ``x509-svid`` keys, or plain PEM certificates.

- Every certificate of the file is an authority of the domain: a root, or an intermediate that signs by itself. Envoy
  hands on the caller's own certificate alone, so an intermediate that signs callers must stand here.
- A certificate that may not sign others is refused with the whole file: it would vouch for itself.
- ``"keys": []`` is a domain that has been revoked (SPIFFE Trust Domain and Bundle §4): nobody of it is believed.
  Keys for other uses (``jwt-svid``, or what comes after it) are passed over.
"""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.x509.verification import Store

from ott_extauthz.authn.certificate_names import UNREADABLE
from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from

MAX_BYTES: Final = 1 << 20
MAX_AUTHORITIES: Final = 100
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


class TrustBundleError(ValueError):
    """A bundle that cannot be used; ``problems`` names each entry by position."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """The authorities of one trust domain; ``store`` None where the domain has none any more."""

    trust_domain: str
    authorities: tuple[x509.Certificate, ...]
    store: Store | None = field(repr=False)


def bundle_from(trust_domain: str, document: bytes) -> TrustBundle:
    """Return a domain's authorities.

    Raises:
        TrustBundleError: with every problem found.
    """
    if len(document) > MAX_BYTES:
        raise TrustBundleError(f"larger than {MAX_BYTES} bytes")
    found = _of_jwks(document) if document.lstrip().startswith(b"{") else _of_pem(document)
    if len(found) > MAX_AUTHORITIES:
        raise TrustBundleError(f"more than {MAX_AUTHORITIES} authorities")
    problems = [f"{place}: {fault}" for place, each in found if (fault := _fault(each)) is not None]
    if problems:
        raise TrustBundleError(*problems)
    authorities = tuple(each for _, each in found)
    return TrustBundle(trust_domain, authorities, Store(list(authorities)) if authorities else None)


def _of_pem(document: bytes) -> list[tuple[str, x509.Certificate]]:
    pieces = [_BEGIN + piece for piece in document.split(_BEGIN)[1:]]
    if not pieces:
        raise TrustBundleError("neither a SPIFFE bundle (JSON) nor a PEM certificate")
    return [(f"certificate {number}", _pem(number, piece)) for number, piece in enumerate(pieces, 1)]


def _pem(number: int, piece: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(piece)
    except UNREADABLE:
        raise TrustBundleError(f"certificate {number}: cannot be read") from None


def _of_jwks(document: bytes) -> list[tuple[str, x509.Certificate]]:
    try:
        entries = object_from(document).get("keys")
    except NotStrictJsonError as error:
        raise TrustBundleError(f"not a JSON object: {error}") from None
    if not isinstance(entries, list):
        raise TrustBundleError("`keys` is not a list")
    found = [(f"keys[{number}]", _of_key(number, entry)) for number, entry in enumerate(entries) if _is_for_x509(entry)]
    if entries and not found:
        raise TrustBundleError("no key has `use` x509-svid; `keys: []` is how a revoked trust domain is written")
    return found


def _is_for_x509(entry: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(entry, dict) and entry.get("use") == "x509-svid"


def _of_key(number: int, entry: dict[str, Any]) -> x509.Certificate:
    """Return the one certificate of an entry (X.509-SVID §6.1)."""
    chain = entry.get("x5c")
    if not isinstance(chain, list) or len(chain) != 1 or not isinstance(chain[0], str):
        raise TrustBundleError(f"keys[{number}]: `x5c` is not a list of exactly one certificate")
    try:
        return x509.load_der_x509_certificate(base64.b64decode(chain[0], validate=True))
    except (*UNREADABLE, binascii.Error):
        raise TrustBundleError(f"keys[{number}]: `x5c` cannot be read") from None


def _fault(certificate: x509.Certificate) -> str | None:
    try:
        extensions = certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return "not the certificate of an authority: no basicConstraints, or no keyUsage"
    except UNREADABLE:
        return "its extensions cannot be read"
    if not constraints.ca or not usage.key_cert_sign:
        return "not the certificate of an authority: it may not sign others (CA:TRUE, keyCertSign)"
    return None
