"""What does a key sign, and how is the token put together?  Compact JWS (RFC 7515 §3.1), or PASETO v4.public."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import msgspec

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.paseto import HEADER, TYPES, signing_input
from ott_extauthz.issuer.order import OrderError
from ott_extauthz.model.token import TokenKind
from ott_extauthz.ports import Signer


class Unsigned(Protocol):
    """A token that wants its signature."""

    @property
    def message(self) -> bytes:
        """What is signed."""
        ...

    @property
    def length(self) -> int:
        """How many characters it has without the signature."""
        ...

    def signed(self, signature: bytes) -> str:
        """Return the token."""
        ...


@dataclass(frozen=True, slots=True)
class UnsignedJws:
    """Header and claims of a compact JWS."""

    text: str = field(repr=False)

    @classmethod
    def of(cls, claims: bytes, signer: Signer, kind: TokenKind) -> "UnsignedJws":
        """Return these claims under the signer's header."""
        return cls(_jose_header(signer.algorithm, signer.kid, kind) + encoded(claims))

    @property
    def message(self) -> bytes:
        """RFC 7515 §5.1."""
        return self.text.encode("ascii")

    @property
    def length(self) -> int:
        """Header and claims."""
        return len(self.text)

    def signed(self, signature: bytes) -> str:
        """Return the token."""
        return f"{self.text}.{encoded(signature)}"


@dataclass(frozen=True, slots=True)
class UnsignedPaseto:
    """Claims and footer of a PASETO."""

    claims: bytes = field(repr=False)
    footer: bytes

    @classmethod
    def of(cls, claims: bytes, signer: Signer, kind: TokenKind) -> "UnsignedPaseto":
        """Return these claims with a footer that names the signer's key and the kind.

        Raises:
            OrderError: the signer's key is not for v4.public.
        """
        if signer.algorithm != "EdDSA":
            raise OrderError(f"format: PASETO v4.public wants Ed25519, and the ring's key is for {signer.algorithm}")
        return cls(claims, _footer(signer.kid, TYPES[kind]))

    @property
    def message(self) -> bytes:
        """Pre-authentication encoding."""
        return signing_input(self.claims, self.footer)

    @property
    def length(self) -> int:
        """Claims and footer as they will be written."""
        return len(HEADER) + (len(self.claims) + len(self.footer)) * 4 // 3

    def signed(self, signature: bytes) -> str:
        """Return the token."""
        return f"{HEADER}{encoded(self.claims + signature)}.{encoded(self.footer)}"


@lru_cache(maxsize=64)  # the same few keys and kinds, again and again
def _jose_header(algorithm: str, kid: str, kind: TokenKind) -> str:
    return encoded(msgspec.json.encode({"alg": algorithm, "kid": kid, "typ": kind})) + "."


@lru_cache(maxsize=64)
def _footer(kid: str, type_: str) -> bytes:
    return msgspec.json.encode({"kid": kid, "typ": type_})
