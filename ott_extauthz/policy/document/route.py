"""What does one route say?  Its match, and what a request must bring."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ott_extauthz.documents.validated import Duration
from ott_extauthz.policy.document.attaching import AttachedKind, ToRule, attachment_from, unreadable
from ott_extauthz.policy.document.conditional import ConditionalRoute
from ott_extauthz.policy.document.match import MatchRule
from ott_extauthz.policy.document.words import CredentialHeader, Name, Rule, Scheme, Token, distinct
from ott_extauthz.policy.limits import Limits
from ott_extauthz.policy.routes import BoundTo, CredentialKind, Route
from ott_extauthz.policy.template import Template

Bundles = Mapping[str, frozenset[str]]
"""The scopes of each role."""

_LATER_CREDENTIALS: Final = {"access_token", "api_key", "signed_request", "session", "certificate"}


def _credential(value: object) -> object:
    if isinstance(value, str) and value in _LATER_CREDENTIALS:
        raise ValueError(f"this version has no {value}; it has one_time_token, mandate and public")
    return value


def _binding(value: object) -> object:
    if value == "dpop":
        raise ValueError("this version has no dpop; it has certificate and workload")
    return value


def _positive(value: int) -> int:
    if value <= 0:
        raise ValueError("must be longer than nothing")
    return value


Binding = Annotated[Literal["certificate", "workload"], BeforeValidator(_binding)]


def _certificate_only() -> list[Literal["certificate", "workload"]]:
    return ["certificate"]


class FromRule(Rule):
    """Where the credential stands."""

    header: CredentialHeader | None = None
    """The header that carries the token; absent = `x-ott`, and for a mandate `authorization` with the scheme Bearer."""
    scheme: Scheme | None = None
    """The authentication scheme before the token, as in `Authorization: Bearer …`; absent = the bare token."""
    keep: bool = False
    """Leave the token in place, for a second ext_authz filter, or an upstream, to see."""

    @model_validator(mode="after")
    def _authorization_has_a_scheme(self) -> "FromRule":
        if self.header == "authorization" and self.scheme is None:
            raise ValueError("authorization needs a scheme (RFC 9110 §11.6.2); write scheme: Bearer")
        return self

    def place(self, kind: CredentialKind) -> tuple[str, str | None]:
        """Return header and scheme of a credential of this kind."""
        if self.header is None and kind is CredentialKind.MANDATE:
            return "authorization", self.scheme or "Bearer"
        return self.header or "x-ott", self.scheme


class RouteRule(ConditionalRoute):
    """One route: which requests it means, and what they must bring."""

    name: Name
    """The route's name, in metrics, audit and `context_extensions: {ott.route: …}`; once in the policy."""
    match: MatchRule
    """Which requests the route means."""
    credential: Annotated[Literal["one_time_token", "mandate", "public"], BeforeValidator(_credential)] | None = None
    """What a request must carry; a `mandate` may come again until it ends, `public` asks for nothing."""
    attach: AttachedKind | None = None
    """Instead of `credential`, for requests that leave: the token that is put on them."""
    audience: Token | None = None
    """The audience that the token must name, or with `attach` will."""
    bound_to: Annotated[list[Binding], AfterValidator(distinct)] = Field(default_factory=_certificate_only)
    """What the token must be bound to, all of these; `[]` only beside `unbound: accept the risk`."""
    unbound: Literal["accept the risk"] | None = None
    """The operator's word that a token which works for whoever holds it is meant."""
    clients: Annotated[list[Token], Field(min_length=1), AfterValidator(distinct)] | None = None
    """The client ids that may come, any of these; absent = any client that the policy and its issuers know."""
    roles: Annotated[list[Name], Field(min_length=1), AfterValidator(distinct)] | None = None
    """Roles that the client must have, all of these; the token must carry all their scopes."""
    scopes: Annotated[list[Token], Field(min_length=1), AfterValidator(distinct)] | None = None
    """Scopes that the token must carry, all of these; with `attach` those to ask for, absent = all that is granted."""
    max_auth_age: Annotated[Duration, AfterValidator(_positive)] | None = None
    """How long ago the user may have logged in (`auth_time`, RFC 9470)."""
    reservation: bool = False
    """A repeated Check of the very same request is one spend."""
    encrypted: bool = False
    """The token must be encrypted for us; one that others on its way could read is refused."""
    mode: Literal["enforce", "shadow"] = "enforce"
    """`shadow`: decide, write down what would have been answered, spend nothing, and let the request on."""
    source: Annotated[FromRule, Field(alias="from")] = FromRule()
    """Where the token stands; by default alone in the header `x-ott`, a mandate in `Authorization: Bearer`."""
    to: ToRule = ToRule()
    """With `attach`: where the token is put; by default alone in the header `x-ott`."""

    @model_validator(mode="after")
    def _conditions_can_be_asked_before_there_is_a_token(self) -> "RouteRule":
        for rule in self.rules().conditions if self.attach is not None else ():
            for name in unreadable(rule.condition.variables):
                raise ValueError(f"{rule.name}: an attaching route has no {name}; it has request.* and mesh.*")
        return self

    def compiled(self, bundles: Bundles) -> Route:
        """Return the route as the check wants it; ``bundles`` has every role that it names."""
        if self.attach is not None:
            return self._attaching()
        if self.credential == "public":
            return Route(name=self.name, credential=CredentialKind.PUBLIC)
        kind, roles = CredentialKind(str(self.credential)), frozenset(self.roles or ())
        header, scheme = self.source.place(kind)
        return Route(
            name=self.name,
            credential=kind,
            audience=self.audience or "",
            bound_to=frozenset(map(BoundTo, self.bound_to)),
            unbound=self.unbound is not None,
            clients=None if self.clients is None else frozenset(self.clients),
            roles=roles,
            scopes=frozenset(self.scopes or ()).union(*(bundles[role] for role in roles)),
            max_auth_age_ms=self.max_auth_age,
            reservation=self.reservation,
            encrypted=self.encrypted,
            header=header,
            scheme=scheme,
            keeps_credential=self.source.keep,
            limits=self.limits(),
            rules=self.rules(),
            shadow=self.mode == "shadow",
        )

    def _attaching(self) -> Route:
        return Route(
            name=self.name,
            credential=CredentialKind.ATTACHED,
            attachment=attachment_from(self.audience, self.scopes, self.bound_to_request, self.to),
            limits=Limits(allow_unbuffered_empty=self.allow_unbuffered_empty),
            rules=self.rules(),
        )

    def template(self) -> Template:
        """Return the path template of the route."""
        return self.match.compiled().template
