"""Which self-signed certificates may clients show, and can none of them vouch for another (RFC 8705 §2.2)?

TLS in Python verifies every certificate or none: there is no way to wave a single one through.  So each listed
certificate becomes an authority of the context, an authority that has signed itself and can sign nothing else:

- ``CA:FALSE`` must be written in it.  OpenSSL then refuses it as the issuer of anything.  Silence is not enough: where
  neither basicConstraints nor keyUsage forbid it, OpenSSL lets some old certificates sign.
- It must really be self-signed: issuer and subject are the same, and its own key made the signature.
- Its name is no name of an authority in ``client_ca``, whose chains OpenSSL would try to build through it.

What it cost: another listing needs another context, and so a restart.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from

MAX_LISTED: Final = 16
"""Certificates of one client: the one in use, and those it changes to."""

_SPKI: Final = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class SelfSignedError(ValueError):
    """A listing that cannot be used, and why."""


def listed_in_pem(document: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PEM file.

    Raises:
        SelfSignedError: it holds none, too many, or one that must not be listed.
    """
    try:
        certificates = x509.load_pem_x509_certificates(document)
    except ValueError:
        raise SelfSignedError("holds no certificate in PEM form") from None
    return _checked(certificates)


def listed_in_jwks(document: bytes) -> list[x509.Certificate]:
    """Return the certificates of a JWK Set: of each key the first of its ``x5c`` (RFC 7517 §4.7, RFC 8705 §2.2.2).

    Raises:
        SelfSignedError: it is none, has a key without certificate, or a certificate that must not be listed.
    """
    try:
        entries = object_from(document).get("keys")
    except NotStrictJsonError as error:
        raise SelfSignedError(f"not a JSON object: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise SelfSignedError("`keys` is not a list of keys")
    return _checked([_certificate(index, entry) for index, entry in enumerate(entries[: MAX_LISTED + 1])])


def refuse_names_of(authorities: Sequence[x509.Certificate], listed: x509.Certificate) -> None:
    """Refuse a certificate that bears an authority's name.

    Raises:
        SelfSignedError: it does.
    """
    if any(listed.subject == authority.subject for authority in authorities):
        raise SelfSignedError("a self-signed certificate bears the name of an authority in tls.client_ca")


def _certificate(index: int, entry: Any) -> x509.Certificate:  # noqa: ANN401 - JSON
    chain = entry.get("x5c") if isinstance(entry, dict) else None
    if not isinstance(chain, list) or len(chain) != 1 or not isinstance(chain[0], str):
        raise SelfSignedError(f"keys[{index}]: x5c is required, with the one self-signed certificate")
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(chain[0], validate=True))
        stated = _spki(entry)
    except (ValueError, TypeError, JoseError):
        raise SelfSignedError(f"keys[{index}]: no key, or x5c no certificate") from None
    if stated != certificate.public_key().public_bytes(*_SPKI):
        raise SelfSignedError(f"keys[{index}]: x5c holds the certificate of another key")
    return certificate


def _spki(entry: Mapping[str, Any]) -> bytes:
    kinds: dict[Any, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = kinds.get(entry.get("kty"))
    if kind is None or "d" in entry:
        raise ValueError("a public key")
    key = kind.import_key({name: part for name, part in entry.items() if name != "x5c"})
    return key.public_key.public_bytes(*_SPKI)


def _checked(certificates: list[x509.Certificate]) -> list[x509.Certificate]:
    if not 0 < len(certificates) <= MAX_LISTED:
        raise SelfSignedError(f"1 to {MAX_LISTED} certificates")
    for certificate in certificates:
        _check(certificate)
    return certificates


def _check(certificate: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        raise SelfSignedError("a certificate that is not self-signed; for others there is tls_client_auth") from None
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        is_authority = constraints.ca
    except x509.ExtensionNotFound:
        is_authority = True
    except (ValueError, x509.DuplicateExtension):
        raise SelfSignedError("a certificate whose extensions cannot be read") from None
    if is_authority or certificate.version is not x509.Version.v3:
        raise SelfSignedError(
            "a self-signed certificate without basicConstraints CA:FALSE; it could sign others "
            "(openssl req -x509 -addext basicConstraints=critical,CA:FALSE)"
        )
