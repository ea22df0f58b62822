"""What does a route say about constraints?  Where a request shows brand and amount, and what the route itself asks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ott_extauthz.model.mandate import Constraints
from ott_extauthz.policy.pointer import Pointer


class Bound(StrEnum):
    """The part of a request that a token can be for."""

    METHOD = "method"
    PATH = "path"
    BODY = "body"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandSource:
    """Where a request names its brand: one of a header, a segment of the path (from 0), a place in the JSON body."""

    header: str | None = None
    segment: int | None = None
    pointer: Pointer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountSource:
    """Where a request's JSON body has its amount; the currency stands in the body too, or is ``currency_is``."""

    value: Pointer
    currency: Pointer | None = None
    currency_is: str | None = None
    is_minor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A route's part in constraints."""

    brand: BrandSource | None = None
    amount: AmountSource | None = None
    constraints: Constraints | None = None
    bound_to_request: frozenset[Bound] = frozenset()
    allow_unbuffered_empty: bool = False


NO_LIMITS: Final = Limits()
