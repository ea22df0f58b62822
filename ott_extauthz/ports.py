"""What do the inner rooms need from outside?  Narrow ports, each with the one error it may raise."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Final, Protocol

from ott_extauthz.model.decision import Decision
from ott_extauthz.model.facts import Facts, Malformed
from ott_extauthz.model.rejection import TokenState

Entropy = Callable[[int], bytes]
"""Random bytes fit for secrets, as many as asked for."""


class Clock(Protocol):
    """The time, handed in so that a test can set it."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps, for deadlines and durations only."""
        ...


OWN_WRITE_MS: Final = 2000
"""How long after a first use the same nonce is still the same attempt; on the store's clock."""

WITNESS_BYTES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One attempt to spend one token.

    ``key`` is the 32-byte digest of (iss, jti).  ``nonce`` names this attempt: for :data:`OWN_WRITE_MS` after the first
    use the store recognises its own write, when a reply was lost or the very same request is checked again.
    ``keep_until_ms`` lies after the last instant at which anyone could still accept the token.  ``witness`` is kept
    with the use and shown on a second one: who spent it; at most :data:`WITNESS_BYTES`.
    """

    key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    issued_at_ms: int
    keep_until_ms: int
    now_ms: int
    witness: bytes = b""

    def __post_init__(self) -> None:
        if not self.key or not self.nonce:
            raise ValueError("a use without a key or a nonce would be everybody's use")
        if len(self.witness) > WITNESS_BYTES:
            raise ValueError(f"a witness is at most {WITNESS_BYTES} bytes")


class SpendOutcome(Enum):
    """What a used-list answers; only the first lets a call through."""

    FIRST_USE = auto()
    ALREADY_USED = auto()
    FENCED = auto()  # issued at or before the fence (+ margin): the list cannot vouch that it was not used
    EXPIRED = auto()  # keep_until is not in the store's future: nothing was written
    CLOCK_DISAGREES = auto()  # the store's clock and the caller's differ by more than max_skew: nothing was written
    NOT_PRIMARY = auto()  # nothing was written
    UNSAFE = auto()  # the store may forget (eviction): nothing was written


@dataclass(frozen=True, slots=True)
class FirstUse:
    """Who spent a token first, as the store remembers it: when, on the store's clock, and the witness left then."""

    at_ms: int
    witness: bytes


@dataclass(frozen=True, slots=True)
class Spend:
    """A used-list's answer; ``first`` is there when it is ALREADY_USED."""

    outcome: SpendOutcome
    first: FirstUse | None = None


class UsedListFault(StrEnum):
    """Kinds of a broken used-list: the label of ``ott_store_errors_total``."""

    CONNECT = "connect"
    TIMEOUT = "timeout"
    LOST = "lost"
    REPLY = "reply"
    CLOSED = "closed"
    CIRCUIT_OPEN = "circuit_open"
    OVERLOADED = "overloaded"


class UsedListError(Exception):
    """The used-list could not answer.  ``token_state`` is UNSPENT only when the write surely never left."""

    def __init__(self, fault: UsedListFault, token_state: TokenState, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.token_state = token_state


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Whether a used-list can serve, and in one line why not; never holds an address's password.

    ``remarks`` are facts about the store, ``warnings`` what to mend though it serves; both read the same until they
    change, so that a change can be told.
    """

    ready: bool
    detail: str
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class UsedList(Protocol):
    """Remembers which tokens were spent.

    The contract: of all calls of :meth:`mark_used` with one key and different nonces, whoever makes them, wherever,
    whenever, **at most one** is answered FIRST_USE; whatever the store lost in between.  Calls with the same key and
    the same nonce are one attempt and are answered FIRST_USE again, for OWN_WRITE_MS after the first.
    """

    async def start(self) -> None:
        """Connect and set the fence; does not raise when the store is down (mark_used and health say so)."""
        ...

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:  # noqa: ASYNC109 - the deadline's rest
        """Spend once, atomically, within ``timeout`` seconds.

        Raises:
            UsedListError: the store is unreachable, too slow, or answered nonsense.
        """
        ...

    async def health(self) -> StoreHealth:
        """Ask the store whether it can serve."""
        ...

    async def close(self) -> None:
        """Let go of connections; later calls raise UsedListError(CLOSED)."""
        ...


@dataclass(slots=True, kw_only=True)
class CheckRecord:
    """Everything the listeners may know of one Check.  Holds no token, no key, no query string."""

    decision: Decision
    facts: Facts | Malformed
    host: str | None
    path: str | None
    at_ms: int
    seconds: float


class AuditError(Exception):
    """The decision could not be written down, and it had to be."""


class AuditTrail(Protocol):
    """Writes decisions down."""

    def write(self, record: CheckRecord) -> None:
        """Write one decision down before it is answered.

        Raises:
            AuditError: the audit is required and this line could not be written.
        """
        ...


class CheckObserver(Protocol):
    """Listens to decisions: metrics, log.  A listener keeps its troubles to itself; it never changes an answer."""

    def decided(self, record: CheckRecord) -> None:
        """Take note of one decision, as it is answered."""
        ...

    def replayed(self, record: CheckRecord) -> None:
        """Take note of a second use, after ``decided``; the place to raise an alarm, or to revoke the client."""
        ...

    def faulted(self, error_type: str) -> None:
        """Take note of a fault of ours, by the type of the exception; its message may hold what a client sent."""
        ...

    def spend_took(self, seconds: float) -> None:
        """Take note of how long the used-list needed."""
        ...

    def store_failed(self, fault: UsedListFault) -> None:
        """Take note of a used-list that could not answer."""
        ...


class Signer(Protocol):
    """Signs with the issuer's active key; the private key never leaves it."""

    @property
    def kid(self) -> str:
        """The key's id, for the JOSE header."""
        ...

    @property
    def algorithm(self) -> str:
        """The JOSE algorithm name."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the JWS signature over ``message`` (RFC 7518 form)."""
        ...
