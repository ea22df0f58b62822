"""What do we know of keys that live elsewhere?  Their public halves, which of them signs, and how to ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ott_extauthz.stores.signing import MIN_RSA_BITS, PublicKey, SigningAlgorithm, kid_of

State = Literal["next", "active", "retiring"]

RSA_ALGORITHMS: Final = frozenset({"RS256", "PS256"})


class RingError(Exception):
    """A ring that cannot be opened: what is wrong, and what to do.  Never a secret."""


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """One key: ``reference`` is what its place calls it (a version, an ARN), ``made_ms`` when it came to be."""

    reference: str
    public: PublicKey = field(repr=False)
    made_ms: int

    @property
    def kid(self) -> str:
        """Its RFC 7638 thumbprint."""
        return kid_of(self.public)


@dataclass(frozen=True, slots=True)
class Look:
    """What a ring is at one moment: the key that signs, and all that are published with their states."""

    active: RemoteKey
    published: tuple[tuple[RemoteKey, State], ...]


class RemoteKeys(Protocol):
    """A place where keys live.  Its methods block: call them from a thread, several at a time if need be."""

    @property
    def algorithm(self) -> SigningAlgorithm:
        """What its keys sign."""
        ...

    @property
    def calls_at_once(self) -> int:
        """Into how many calls, side by side, a big batch is divided; 1 where the place signs a whole batch in one."""
        ...

    def look(self, now_ms: int) -> Look:
        """Return what is there now.

        Raises:
            SigningError: the place cannot be asked, or what it says is no ring.
        """
        ...

    def sign(self, key: RemoteKey, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Return the JWS signature of each message by this very key, in order.

        Raises:
            SigningError: none counts.
        """
        ...


def goes_with(key: object, algorithm: SigningAlgorithm) -> bool:
    """Whether a public key is one that ``algorithm`` may be used with."""
    match key:
        case ed25519.Ed25519PublicKey():
            return algorithm == "EdDSA"
        case ec.EllipticCurvePublicKey():
            return algorithm == "ES256" and isinstance(key.curve, ec.SECP256R1)
        case rsa.RSAPublicKey():
            return algorithm in RSA_ALGORITHMS and key.key_size >= MIN_RSA_BITS
        case _:
            return False
