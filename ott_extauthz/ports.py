"""What do the inner rooms need from outside?  Narrow ports, each with the one error it may raise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Protocol

from ott_extauthz.model.decision import Decision, Deny
from ott_extauthz.model.facts import Facts, Malformed
from ott_extauthz.model.reason import Code
from ott_extauthz.model.rejection import TokenState
from ott_extauthz.model.step import Mark
from ott_extauthz.model.trace_context import TraceContext
from ott_extauthz.model.traced import Traced, traced

Entropy = Callable[[int], bytes]
"""Random bytes fit for secrets, as many as asked for."""

AsnLookup = Callable[[IPv4Address | IPv6Address], int | None]
"""The number of the autonomous system that announces an address; None where it is not known."""


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


LARGEST_COUNT: Final = 2**53 - 1
"""No counter counts further: beyond it a store that computes in doubles (Lua) would no longer be exact."""

_LARGEST_OF_A_RATE: Final = 2**40


class ChargeKind(Enum):
    """How a counter counts."""

    RATE = auto()  # GCRA: `limit` at once, one more every `period_ms / limit`
    BUDGET = auto()  # a total that never comes back: `limit` until `keep_until_ms`


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a use takes from a counter, in the same atomic step; where it does not fit, nothing at all is written.

    ``key`` is 32 bytes, a digest of whose counter it is and of what it counts: a RATE and a BUDGET never share a
    counter, two accounts never share a key.

    - RATE: one call.  ``limit`` calls fit at once and one more fits every ``period_ms / limit``, by the store's clock
      where it has one, without rounding.  A store that forgot begins anew.
    - BUDGET: ``cost`` (calls, or minor units of a currency) of ``limit``.  ``since_ms`` is the ``iat`` of what grants
      the budget, and lies no later than that of any token that draws on it: a store that may have forgotten anything
      since then answers FENCED.  The counter is kept until ``keep_until_ms``, which lies after the last instant at
      which anyone could still accept such a token; from then on EXPIRED.  Both instants are the same in every charge
      of one counter.

    A cost above the limit never fits, however large; a cost of 0 fits while no more than ``limit`` was taken.
    """

    kind: ChargeKind
    key: bytes = field(repr=False)
    limit: int
    cost: int = 1
    period_ms: int = 0
    since_ms: int = 0
    keep_until_ms: int = 0

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("a charge without a key would be everybody's charge")
        if self.limit < 0 or self.cost < 0:
            raise ValueError("a charge has a limit and a cost of 0 or more")
        if max(self.limit, self.since_ms, self.keep_until_ms) > LARGEST_COUNT:
            raise ValueError(f"a charge's limit and its instants are at most {LARGEST_COUNT}")
        if self.kind is ChargeKind.RATE and not (
            1 <= self.limit <= _LARGEST_OF_A_RATE and 1 <= self.period_ms <= _LARGEST_OF_A_RATE and self.cost == 1
        ):
            raise ValueError(f"a rate has a limit and a period of 1 to {_LARGEST_OF_A_RATE}, and a cost of 1")

    @property
    def bounded_cost(self) -> int:
        """The cost, or one more than the limit if it is more than that: all a store need know of a huge one."""
        return min(self.cost, self.limit + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One attempt to spend one token.

    ``key`` is the 32-byte digest of (iss, jti).  ``nonce`` names this attempt: for :data:`OWN_WRITE_MS` after the first
    use the store recognises its own write, when a reply was lost or the very same request is checked again.
    ``keep_until_ms`` lies after the last instant at which anyone could still accept the token.  ``witness`` is kept
    with the use and shown on a second one: who spent it; at most :data:`WITNESS_BYTES`.

    ``account`` is whose use it is, the same for every use of one token: a store that spreads keys puts a use and its
    ``charges`` where the account is.  Charges are judged after the token: taken once, with the first use, never by its
    repetition and never by a replay.  All of them fit, one after the other, or nothing is written and the token stays
    unspent.  What was taken is never given back, whatever becomes of the call.
    """

    key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    issued_at_ms: int
    keep_until_ms: int
    now_ms: int
    witness: bytes = b""
    account: bytes = field(default=b"", repr=False)
    charges: tuple[Charge, ...] = ()

    def __post_init__(self) -> None:
        if not self.key or not self.nonce:
            raise ValueError("a use without a key or a nonce would be everybody's use")
        if len(self.witness) > WITNESS_BYTES:
            raise ValueError(f"a witness is at most {WITNESS_BYTES} bytes")
        if self.charges and not self.account:
            raise ValueError("a use with charges has an account")


class SpendOutcome(Enum):
    """What a used-list answers; only the first lets a call through.

    Where several charges do not fit: FENCED before EXPIRED before BUDGET_EXHAUSTED before RATE_LIMITED, since only the
    last is mended by waiting.
    """

    FIRST_USE = auto()
    ALREADY_USED = auto()
    FENCED = auto()  # token or budget from the time up to the fence (+ margin): the list cannot vouch for it
    EXPIRED = auto()  # keep_until is not in the store's future: nothing was written
    CLOCK_DISAGREES = auto()  # the store's clock and the caller's differ by more than max_skew: nothing was written
    NOT_PRIMARY = auto()  # nothing was written
    UNSAFE = auto()  # the store may forget (eviction): nothing was written
    RATE_LIMITED = auto()  # a RATE charge does not fit now: nothing was written
    BUDGET_EXHAUSTED = auto()  # a BUDGET charge does not fit: nothing was written


@dataclass(frozen=True, slots=True)
class FirstUse:
    """Who spent a token first, as the store remembers it: when, on the store's clock, and the witness left then."""

    at_ms: int
    witness: bytes


@dataclass(frozen=True, slots=True)
class Spend:
    """A used-list's answer; ``first`` is there when it is ALREADY_USED, ``retry_after_ms`` when it is RATE_LIMITED.

    ``retry_after_ms`` is the least wait after which every RATE would fit if nobody else came, rounded up.
    """

    outcome: SpendOutcome
    first: FirstUse | None = None
    retry_after_ms: int | None = None


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


class StoreState(StrEnum):
    """What a look found of one of a used-list's servers: a label of the metrics."""

    WHOLE = "whole"  # it can spend
    UNREACHABLE = "unreachable"
    CLOCK = "clock"  # its clock and ours differ by more than max_skew
    REPLICA = "replica"
    EVICTS = "evicts"  # it may forget
    UNFIT = "unfit"  # whatever else refuses; the detail says what


@dataclass(frozen=True, slots=True)
class StoreServer:
    """What a look found of one server: since when it has been whole, on its clock, and how far that is ahead of ours.

    None is what it did not come to say.
    """

    name: str
    state: StoreState
    since_ms: int | None = None
    ahead_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Whether a used-list can serve, and in one line why not; never holds an address's password.

    ``remarks`` are facts about the store, ``warnings`` what to mend though it serves; both read the same until they
    change, so that a change can be told.  ``servers`` are those that were looked at, for the metrics.
    """

    ready: bool
    detail: str
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    servers: tuple[StoreServer, ...] = ()


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


class _Unread(Enum):
    """Nobody has asked yet."""

    UNREAD = auto()


@dataclass(slots=True, kw_only=True)
class Told:
    """What every record says of its request.  Holds no token, no key, no query string.

    ``host`` and ``path`` are canonical, and fit to be written down (:mod:`ott_extauthz.model.shown`); ``at_ms`` is when
    the Check arrived.
    """

    facts: Facts | Malformed
    host: str | None
    path: str | None
    at_ms: int
    _traced: Traced | _Unread | None = field(default=_Unread.UNREAD, init=False, repr=False, compare=False)

    @property
    def traced(self) -> Traced | None:
        """The trace that the request belongs to, and by whose word; read once, when somebody asks."""
        if isinstance(self._traced, _Unread):
            self._traced = traced(self.facts)
        return self._traced

    @property
    def trace(self) -> TraceContext | None:
        """The trace that the request belongs to."""
        return None if self.traced is None else self.traced.context


@dataclass(slots=True, kw_only=True)
class CheckRecord(Told):
    """Everything the listeners may know of one Check.

    ``began`` and the ``marks`` of the steps are instants of the monotonic clock; without a tracer there are no marks.
    ``seconds_left`` is what the caller's deadline, or our own shorter one, left when the Check began.
    """

    decision: Decision
    seconds: float
    began: float = 0.0
    marks: Sequence[Mark] = ()
    seconds_left: float = 0.0


@dataclass(slots=True, kw_only=True)
class ShadowRecord(Told):
    """What a second policy would have answered to a request that is answered already; ``answer`` is what was."""

    answer: Decision
    would_be: Decision

    @property
    def disagrees(self) -> bool:
        """Whether a client would have seen another answer: allow instead of deny, or another code."""
        return _seen_by_a_client(self.answer) != _seen_by_a_client(self.would_be)


def _seen_by_a_client(decision: Decision) -> Code | None:
    return decision.meaning.code if isinstance(decision, Deny) else None


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

    def write_shadow(self, record: ShadowRecord) -> None:
        """Write down what a second policy would have answered; the answer is out, so a failure is only counted."""
        ...


class CheckTiming(Protocol):
    """Times a Check from outside, for whoever asks.  Neither call raises, waits, or changes an answer."""

    def arrived(self) -> None:
        """Take note that a Check arrived; whatever is told to observers in this task's context belongs to it."""
        ...

    def answered(self) -> None:
        """Take note that its answer is made, or that nobody waits for one any more."""
        ...


class CheckObserver(Protocol):
    """Listens to decisions: metrics, log.  A listener keeps its troubles to itself; it never changes an answer."""

    def decided(self, record: CheckRecord) -> None:
        """Take note of one decision, as it is answered."""
        ...

    def replayed(self, record: CheckRecord) -> None:
        """Take note of a second use, after ``decided``; the place to raise an alarm, or to revoke the client."""
        ...

    def shadowed(self, record: ShadowRecord) -> None:
        """Take note of what a second policy would have answered, after ``decided``."""
        ...

    def shadow_skipped(self) -> None:
        """Take note of a request that a second policy was not asked about: too many were waiting."""
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


class SigningError(Exception):
    """A signature could not be made: the key's place is unreachable, or refuses.  Names no secret."""


class Signer(Protocol):
    """Signs with one key; the private key never leaves it.

    Many messages go together, so that a key that lives elsewhere is asked once for a whole batch.
    """

    @property
    def kid(self) -> str:
        """The key's id, for the JOSE header."""
        ...

    @property
    def algorithm(self) -> str:
        """The JOSE algorithm name."""
        ...

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Return the JWS signature over each message, in order (RFC 7518 form).

        Raises:
            SigningError: none of them was signed.
        """
        ...


class KeyRing(Protocol):
    """The issuer's keys, which change while it runs: whoever signs or publishes asks anew each time."""

    @property
    def signer(self) -> Signer:
        """The signer of the active key."""
        ...

    @property
    def jwks(self) -> bytes:
        """The JWK Set to publish: every key that verifies something now, or soon will."""
        ...

    async def run(self) -> None:
        """Do the ring's own work (look at files, rotate, refresh) until cancelled; one without work returns at once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWanted:
    """Which one-time tokens a caller wants, all alike; ``scope`` None is all that the issuer grants for the audience.

    ``htm``, ``htp`` and ``digest`` bind a token to the one request it is for; such a token is nobody else's.
    """

    audience: str
    scope: frozenset[str] | None = None
    htm: str | None = None
    htp: str | None = None
    digest: bytes | None = field(default=None, repr=False)

    @property
    def is_for_one_request(self) -> bool:
        """Whether these tokens cannot be kept for whoever comes next."""
        return self.digest is not None


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A token nobody has used yet, and its life by the issuer's clock."""

    text: str = field(repr=False)
    issued_at_ms: int
    expires_at_ms: int


class TokenSourceError(Exception):
    """No token was minted; ``is_lasting`` when asking again as we are will not help (a refusal, not an outage)."""

    def __init__(self, detail: str, *, is_lasting: bool) -> None:
        super().__init__(detail)
        self.is_lasting = is_lasting


class TokenSource(Protocol):
    """Mints one-time tokens for this workload: the issuer asked over gRPC, or keys of our own."""

    async def mint(self, wanted: TokenWanted, count: int) -> Sequence[MintedToken]:
        """Return ``count`` fresh tokens.

        Raises:
            TokenSourceError: there is none.
        """
        ...
