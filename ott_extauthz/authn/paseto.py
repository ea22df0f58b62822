"""Is this a PASETO v4.public, and what does it claim to be?  Nothing here is believed but what :func:`signed_by` says.

- Version and purpose are the format's own: ``v4.public`` or nothing.  There is no algorithm to choose, and a key that
  is trusted for PASETO is trusted for nothing else (PASETO, "Algorithm Lucidity").
- The footer is strict JSON of texts, small, and says two things: ``kid``, and ``typ``, which kind of token it is.  It
  is signed with the claims, stands in the clear, so that the wrong kind is refused by name before any cryptography,
  and every PASETO library can write it.  An implicit assertion would bind the kind just as well, but then a token of
  another kind and a forged one could not be told apart, and nobody could read the kind off a token.
- Whatever else stands in the footer is not followed: keys come from the trust list alone.

Needs the extra ``paseto``: pyseto owns the encoding that is signed (PAE) and the signature.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.keys import Ed25519Key
from ott_extauthz.authn.strict_json import NotStrictJsonError, object_from
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import MAX_TOKEN_BYTES, TokenKind

if TYPE_CHECKING:
    from pyseto import KeyInterface

HEADER: Final = "v4.public."
SIGNATURE_BYTES: Final = 64
MAX_FOOTER_CHARACTERS: Final = 512
TYPES: Final = MappingProxyType({TokenKind.ONE_TIME: "ott+paseto", TokenKind.ACCESS: "at+paseto"})
"""``typ`` of the footer, by the kind of token; no other kind comes as PASETO."""

_PARTS: Final = 4  # v4, public, claims and signature, footer
_BEGINNINGS: Final = tuple(f"v{version}.{purpose}." for version in "1234" for purpose in ("local", "public"))


class PasetoUnavailableError(Exception):
    """The extra is not installed; the message says what to do."""


def require_pyseto() -> None:
    """Make sure that PASETOs can be judged and made.

    Raises:
        PasetoUnavailableError: they cannot.
    """
    try:
        import pyseto  # noqa: F401, PLC0415 - an extra
    except ImportError:
        raise PasetoUnavailableError("needs the package pyseto: install ott-extauthz[paseto]") from None


@dataclass(frozen=True, slots=True)
class Footer:
    """What we read of a footer; only the token's own word."""

    kid: str
    type: str


@dataclass(frozen=True, slots=True)
class UnverifiedPaseto:
    """A token's parts.  Good for choosing a key, for nothing else."""

    footer: Footer
    claims: dict[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    raw_footer: bytes = field(repr=False)


def is_paseto(text: str) -> bool:
    """Whether a text means to be a PASETO of any version; no JWS begins like one."""
    return text.startswith(_BEGINNINGS)


def unverified_from(text: str) -> UnverifiedPaseto | Reason:
    """Take a PASETO apart, or say why it is none that we take."""
    if len(text) > MAX_TOKEN_BYTES:
        return Reason.TOKEN_TOO_LARGE
    if not text.startswith(HEADER):
        return Reason.TOKEN_ALGORITHM_REFUSED
    parts = text.split(".")
    if len(parts) != _PARTS or len(parts[3]) > MAX_FOOTER_CHARACTERS:
        return Reason.TOKEN_MALFORMED
    signed, raw_footer, footer = decoded(parts[2]), decoded(parts[3]), _footer_from(parts[3])
    if isinstance(footer, Reason):
        return footer
    if signed is None or raw_footer is None or len(signed) <= SIGNATURE_BYTES:
        return Reason.TOKEN_MALFORMED
    try:
        return UnverifiedPaseto(footer, object_from(signed[:-SIGNATURE_BYTES]), signed, raw_footer)
    except NotStrictJsonError:
        return Reason.TOKEN_MALFORMED


@lru_cache(maxsize=512)  # an issuer's footer is the same text on every token until its key changes
def _footer_from(part: str) -> Footer | Reason:
    raw = decoded(part)
    if not raw:
        return Reason.TOKEN_MALFORMED
    try:
        members = object_from(raw)
    except NotStrictJsonError:
        return Reason.TOKEN_MALFORMED
    if not all(isinstance(value, str) for value in members.values()):
        return Reason.TOKEN_HEADER_REFUSED
    return Footer(members.get("kid", ""), members.get("typ", ""))


def signed_by(key: Ed25519Key, token: UnverifiedPaseto) -> bool:
    """Whether the key's owner signed the claims and the footer, with no implicit assertion."""
    from pyseto import VerifyError  # noqa: PLC0415 - an extra

    try:
        _public_key(bytes(key.key)).verify(token.signed, token.raw_footer)
    except VerifyError:
        return False
    return True


@lru_cache(maxsize=512)
def _public_key(raw: bytes) -> "KeyInterface":
    from pyseto import Key  # noqa: PLC0415 - an extra

    return Key.from_asymmetric_key_params(4, x=raw)


def signing_input(claims: bytes, footer: bytes) -> bytes:
    """Return the bytes that are signed (PASETO, "PAE Definition")."""
    from pyseto.utils import pae  # noqa: PLC0415 - an extra

    return pae([HEADER.encode("ascii"), claims, footer, b""])
