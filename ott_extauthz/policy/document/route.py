"""What does one route say?  Its match, and what a request must bring."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ott_extauthz.documents.validated import Duration
from ott_extauthz.policy.document.attaching import AttachedKind, ToRule, attachment_from, unreadable
from ott_extauthz.policy.document.conditional import ConditionalRoute
from ott_extauthz.policy.document.credential import CheckedKind, CredentialKeys, CredentialRule
from ott_extauthz.policy.document.match import MatchRule
from ott_extauthz.policy.document.signing import SignRule
from ott_extauthz.policy.document.words import Name, Token, distinct, positive
from ott_extauthz.policy.limits import Limits
from ott_extauthz.policy.routes import Asks, CredentialKind, Route
from ott_extauthz.policy.template import Template

Bundles = Mapping[str, frozenset[str]]
"""The scopes of each role."""

Several = Annotated[list[CredentialRule], Field(min_length=2, max_length=8)]


def _credential(value: object) -> object:
    if value == "session":
        raise ValueError("this version has no session")
    return value


class RouteRule(CredentialKeys, ConditionalRoute):
    """One route: which requests it means, and what they must bring."""

    name: Name
    """The route's name, in metrics, audit and `context_extensions: {ott.route: …}`; once in the policy."""
    match: MatchRule
    """Which requests the route means."""
    credential: Annotated[Literal[CheckedKind, "public"], BeforeValidator(_credential)] | None = None
    """What a request must carry; a `mandate` may come again until it ends, `public` asks for nothing."""
    all_of: Several | None = None
    """Instead of `credential`: what a request must carry, each of these; the first names the caller."""
    any_of: Several | None = None
    """Instead of `credential`: what a request must carry, exactly one of these."""
    attach: AttachedKind | None = None
    """Instead of `credential`, for requests that leave: what is put on them, a token or a signature."""
    audience: Token | None = None
    """The audience that the token must name, or with `attach` will."""
    clients: Annotated[list[Token], Field(min_length=1), AfterValidator(distinct)] | None = None
    """The client ids that may come, any of these; absent = any client that the policy and its issuers know."""
    roles: Annotated[list[Name], Field(min_length=1), AfterValidator(distinct)] | None = None
    """Roles that the client must have, all of these; the token must carry all their scopes."""
    scopes: Annotated[list[Token], Field(min_length=1), AfterValidator(distinct)] | None = None
    """Scopes that the token must carry, all of these; with `attach` those to ask for, absent = all that is granted."""
    max_auth_age: Annotated[Duration, AfterValidator(positive)] | None = None
    """How long ago the user may have logged in (`auth_time`, RFC 9470)."""
    reservation: bool = False
    """A repeated Check of the very same request is one spend."""
    encrypted: bool = False
    """The token must be encrypted for us; one that others on its way could read is refused."""
    mode: Literal["enforce", "shadow"] = "enforce"
    """`shadow`: decide, write down what would have been answered, spend nothing, and let the request on."""
    to: ToRule = ToRule()
    """With `attach`: where the token is put; by default alone in the header `x-ott`."""
    sign: SignRule | None = None
    """With `attach: signed_request`: the key, and what it signs."""

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
        kind, parts = self._parts()
        roles = frozenset(self.roles or ())
        return Route(
            name=self.name,
            credential=kind,
            audience=self.audience or "",
            parts=parts,
            clients=None if self.clients is None else frozenset(self.clients),
            roles=roles,
            scopes=frozenset(self.scopes or ()).union(*(bundles[role] for role in roles)),
            max_auth_age_ms=self.max_auth_age,
            reservation=self.reservation,
            encrypted=self.encrypted,
            limits=self.limits(),
            rules=self.rules(),
            shadow=self.mode == "shadow",
        )

    def _parts(self) -> tuple[CredentialKind, tuple[Asks, ...]]:
        for kind, several in ((CredentialKind.ALL_OF, self.all_of), (CredentialKind.ANY_OF, self.any_of)):
            if several is not None:
                return kind, tuple(each.asks() for each in several)
        one = self.asks_for(str(self.credential))
        return one.credential, (one,)

    def _attaching(self) -> Route:
        return Route(
            name=self.name,
            credential=CredentialKind.ATTACHED,
            attachment=None
            if self.sign is not None
            else attachment_from(self.audience, self.scopes, self.bound_to_request, self.to),
            signing=None if self.sign is None else self.sign.compiled(),
            limits=Limits(allow_unbuffered_empty=self.allow_unbuffered_empty),
            rules=self.rules(),
        )

    def template(self) -> Template:
        """Return the path template of the route."""
        return self.match.compiled().template
