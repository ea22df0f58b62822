"""What may a mandate's holder do, and how much of it?  The constraints of RFC 9396 details of type ``mandate``.

A value of None is no constraint.  An empty set cannot be built: it would allow nothing, and look like anything.
"""

from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Money:
    """An amount, exact, in an ISO 4217 currency."""

    value: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """A daily window of ``zone``'s wall clock, in minutes after midnight; it may reach over midnight.

    ``start`` belongs to it and ``end`` does not.
    """

    start: int
    end: int
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``count`` calls at once and, on average, ``count`` per ``per_ms`` (GCRA)."""

    count: int
    per_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent over a mandate's whole life: a total, a number of calls, or both.

    ``identifier`` names the mandate at its issuer, ``since_ms`` and ``until_ms`` are its life.
    """

    identifier: str
    since_ms: int
    until_ms: int
    amount: Money | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Restrictions, all of which must hold; of a mandate, or of a route.

    ``origin`` is where they stand, for the detail of a refusal.  ``identifier`` names the mandate at its issuer; what
    counts (``rate_limit``, ``budget``) counts under it.
    """

    origin: str = "constraints"
    identifier: str | None = None
    brand: frozenset[str] | None = None
    region: frozenset[str] | None = None
    cidr: tuple[IPv4Network | IPv6Network, ...] | None = None
    asn: frozenset[int] | None = None
    time_of_day: tuple[TimeOfDay, ...] | None = None
    rate_limit: RateLimit | None = None
    max_amount: Money | None = None
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class RequestBinding:
    """The one request a token is for: method, path template, SHA-256 of the body; None is not bound in this respect."""

    method: str | None = None
    path: str | None = None
    digest: bytes | None = None
