"""What does a route mean, and what does it ask for?  The compiled form of one entry of the policy."""

from dataclasses import dataclass
from enum import StrEnum

from ott_extauthz.policy.conditions import ANY_HEADERS, Conditions
from ott_extauthz.policy.limits import NO_LIMITS, Bound, Limits
from ott_extauthz.policy.rules import NO_RULES, Rules
from ott_extauthz.policy.template import Template


class CredentialKind(StrEnum):
    """What a route asks for."""

    ONE_TIME_TOKEN = "one_time_token"
    MANDATE = "mandate"
    PUBLIC = "public"
    ATTACHED = "attached"  # nothing is asked of the local workload: a token is put on the request


class BoundTo(StrEnum):
    """What a token must be bound to; a route that lists several asks for all of them."""

    CERTIFICATE = "certificate"
    WORKLOAD = "workload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Which token goes out with a request, and in which header; ``scope`` None is all that the issuer grants.

    ``bound_to_request`` is what the token names of the one request it is for.
    """

    audience: str
    scope: frozenset[str] | None = None
    bound_to_request: frozenset[Bound] = frozenset()
    header: str = "x-ott"
    scheme: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a request must bring.  On a public route nothing but the name means anything.

    An attaching route has an ``attachment``, its conditions, and whether a body nobody buffered counts as empty.

    ``reservation``: a repeated Check of the very same request is one spend.  ``encrypted``: a token that others could
    have read is refused.  ``clients`` None: any client of a trusted
    issuer; ``unbound`` is the operator's word that an empty ``bound_to`` is meant.  ``scopes`` has those of the roles.
    ``shadow``: the request goes on, spends nothing, and what the route would have answered is written down.
    """

    name: str
    credential: CredentialKind
    audience: str = ""
    bound_to: frozenset[BoundTo] = frozenset()
    unbound: bool = False
    clients: frozenset[str] | None = None
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    max_auth_age_ms: int | None = None
    reservation: bool = False
    encrypted: bool = False
    header: str = "x-ott"
    scheme: str | None = None
    keeps_credential: bool = False
    limits: Limits = NO_LIMITS
    rules: Rules = NO_RULES
    shadow: bool = False
    attachment: Attachment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which requests a route means; None is any host, any method.  A host is exact, or ``*.suffix``."""

    template: Template
    hosts: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    conditions: Conditions = ANY_HEADERS
