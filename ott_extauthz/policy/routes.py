"""What does a route mean, and what does it ask for?  The compiled form of one entry of the policy."""

from dataclasses import dataclass, field
from enum import StrEnum

from ott_extauthz.policy.conditions import ANY_HEADERS, Conditions
from ott_extauthz.policy.limits import NO_LIMITS, Bound, Limits
from ott_extauthz.policy.rules import NO_RULES, Rules
from ott_extauthz.policy.template import Template
from ott_extauthz.policy.terms import CertificateTerms, SignedRequestTerms, SigningTerms


class CredentialKind(StrEnum):
    """What a route asks for."""

    ONE_TIME_TOKEN = "one_time_token"
    MANDATE = "mandate"
    ACCESS_TOKEN = "access_token"
    API_KEY = "api_key"
    SIGNED_REQUEST = "signed_request"
    CERTIFICATE = "certificate"
    ALL_OF = "all_of"  # several, each of which must hold
    ANY_OF = "any_of"  # one of several: the one that the request brings
    PUBLIC = "public"
    ATTACHED = "attached"  # nothing is asked of the local workload: a token or a signature is put on the request


class BoundTo(StrEnum):
    """What a token must be bound to; a route that lists several asks for all of them."""

    CERTIFICATE = "certificate"
    WORKLOAD = "workload"
    DPOP = "dpop"


class VerifiedBy(StrEnum):
    """Who looks at a token's signature."""

    US = "us"
    ENVOY = "envoy"  # its `jwt_authn` filter did, and left the payload in the request's metadata


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
class Asks:
    """One credential that a route asks for, where it stands, and what it must be bound to.

    ``unbound`` is the operator's word that an empty ``bound_to`` is meant.  ``cookie`` is the name of the cookie that
    carries it instead of the header; ``header`` is empty for what has none of its own.  ``issuers`` None: any that the
    server trusts for this kind of token.
    """

    credential: CredentialKind
    bound_to: frozenset[BoundTo] = frozenset()
    unbound: bool = False
    header: str = "x-ott"
    scheme: str | None = None
    cookie: str | None = None
    keeps_credential: bool = False
    issuers: frozenset[str] | None = None
    verified_by: VerifiedBy = VerifiedBy.US
    signed: SignedRequestTerms | None = None
    callers: CertificateTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a request must bring.  On a public route nothing but the name means anything.

    ``parts`` are the credentials: one, or those of an ALL_OF or ANY_OF in the order of the policy; the first names the
    caller where all of them are asked for.  An attaching route has no part but an ``attachment`` or ``signing``,
    its conditions, and whether a body nobody buffered counts as empty.

    ``reservation``: a repeated Check of the very same request is one spend.  ``encrypted``: a token that others could
    have read is refused.  ``clients`` None: any client.  ``scopes`` has those of the roles.
    ``shadow``: the request goes on, spends nothing, and what the route would have answered is written down.
    """

    name: str
    credential: CredentialKind
    audience: str = ""
    parts: tuple[Asks, ...] = field(default=())
    clients: frozenset[str] | None = None
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    max_auth_age_ms: int | None = None
    reservation: bool = False
    encrypted: bool = False
    limits: Limits = NO_LIMITS
    rules: Rules = NO_RULES
    shadow: bool = False
    attachment: Attachment | None = None
    signing: SigningTerms | None = None

    @property
    def asks(self) -> Asks:
        """The first of the credentials.

        Raises:
            IndexError: the route asks for none.
        """
        return self.parts[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which requests a route means; None is any host, any method.  A host is exact, or ``*.suffix``."""

    template: Template
    hosts: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    conditions: Conditions = ANY_HEADERS
