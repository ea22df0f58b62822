"""What does the policy file say?  ``policy.yaml`` as models: closed, every mistake at once, each at its place.

What the fields of one route, or two routes, must not say together is in :mod:`ott_extauthz.policy.agreement`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ott_extauthz.documents.located import read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import Duration, Model, validated
from ott_extauthz.policy.agreement import disagreements
from ott_extauthz.policy.host import canonical_host
from ott_extauthz.policy.routes import BoundTo, CredentialKind, Match, Route, RouteTable
from ott_extauthz.policy.template import ASTERISK, Template, template_from

T = TypeVar("T")

_LATER_CREDENTIALS: Final = {"access_token", "mandate", "api_key", "signed_request", "session", "certificate"}
_METHOD: Final = re.compile(r"[A-Z0-9!#$%&'*+.^_`|~-]{1,64}")
# RFC 6749 §3.3 scope-token.  Audiences and client ids keep to it too: they end up inside quoted header parameters.
_TOKEN: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
# RFC 9110 §5.6.2 token in lower case, without `_`: servers that read `_` as `-` would see another header.
_HEADER: Final = re.compile(r"[a-z0-9!#$%&'*+.^`|~-]{1,64}")
_SCHEME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_TAKEN_HEADERS: Final = re.compile(  # they frame the message, or mean something else to Envoy, to us or to the upstream
    r"x-ott-.*|x-envoy-.*|x-forwarded-.*|client-cert.*|host|connection|content-.*|transfer-encoding|te|upgrade|cookie|dpop"
)


def _checked(is_good: Callable[[str], object], complaint: str) -> AfterValidator:
    def check(value: str) -> str:
        if not is_good(value):
            raise ValueError(complaint)
        return value

    return AfterValidator(check)


def _host(value: str) -> str:
    # Under both schemes, or `api:443` would be a rule that matches `http` requests only.
    spellings = {canonical_host(value, scheme) for scheme in ("http", "https")}
    if None in spellings:
        raise ValueError("not a host; write name, name:port, an IPv4 address or [IPv6], without wildcards")
    if spellings != {value}:
        shortest = min(filter(None, spellings), key=len)
        raise ValueError(f"write it as {shortest!r}: lower case, no trailing dot, no default port")
    return value


def _template(value: object) -> Template:
    if not isinstance(value, str):
        raise ValueError("a path template is a string")  # noqa: TRY004 - pydantic reports ValueError at its place
    return template_from(value)


def _credential(value: object) -> object:
    if isinstance(value, str) and value in _LATER_CREDENTIALS:
        raise ValueError(f"this version has no {value}; it has one_time_token and public")
    return value


def _binding(value: object) -> object:
    if value == "dpop":
        raise ValueError("this version has no dpop; it has certificate and workload")
    return value


def _distinct(values: list[T]) -> list[T]:
    twice = [value for index, value in enumerate(values) if value in values[:index]]
    if twice:
        raise ValueError(f"{twice[0]!r} stands twice")
    return values


def _positive(value: int) -> int:
    if value <= 0:
        raise ValueError("must be longer than nothing")
    return value


_TOKEN_COMPLAINT: Final = "must be visible ASCII without spaces, quotes and backslashes"
Token = Annotated[str, _checked(_TOKEN.fullmatch, _TOKEN_COMPLAINT)]
Host = Annotated[str, AfterValidator(_host)]
Method = Annotated[str, _checked(_METHOD.fullmatch, "a method is an upper-case token: GET, POST")]
Scheme = Annotated[
    str,
    _checked(_SCHEME.fullmatch, "a scheme is a token: Bearer"),
    _checked(lambda value: value.lower() != "dpop", "this version has no DPoP; it has Bearer"),
]
Header = Annotated[
    str,
    _checked(_HEADER.fullmatch, "a header is a lower-case token without '_'; pseudo headers carry no credential"),
    _checked(lambda value: not _TAKEN_HEADERS.fullmatch(value), "this header has another meaning and carries no token"),
]
Binding = Annotated[Literal["certificate", "workload"], BeforeValidator(_binding)]
PathTemplate = Annotated[Template, BeforeValidator(_template), WithJsonSchema({"type": "string"})]


def _certificate_only() -> list[Literal["certificate", "workload"]]:
    return ["certificate"]


class MatchRule(Model):
    """Which requests a route means."""

    hosts: Annotated[list[Host], Field(min_length=1), AfterValidator(_distinct)] | None = None
    methods: Annotated[list[Method], Field(min_length=1), AfterValidator(_distinct)] | None = None
    path: PathTemplate

    @model_validator(mode="after")
    def _asterisk_is_for_options(self) -> "MatchRule":
        if self.path.text == ASTERISK and self.methods != ["OPTIONS"]:
            raise ValueError("the path * needs methods: [OPTIONS]")
        return self

    def compiled(self) -> Match:
        """Return the match as the table wants it."""
        hosts, methods = self.hosts, self.methods
        return Match(
            template=self.path,
            hosts=None if hosts is None else tuple(hosts),
            methods=None if methods is None else tuple(methods),
        )


class FromRule(Model):
    """Where the credential stands; ``keep`` leaves the spent token in place, for a second ext_authz filter to see."""

    header: Header = "x-ott"
    scheme: Scheme | None = None
    keep: bool = False

    @model_validator(mode="after")
    def _authorization_has_a_scheme(self) -> "FromRule":
        if self.header == "authorization" and self.scheme is None:
            raise ValueError("authorization needs a scheme (RFC 9110 §11.6.2); write scheme: Bearer")
        return self


class RouteRule(Model):
    """One route."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    match: MatchRule
    credential: Annotated[Literal["one_time_token", "public"], BeforeValidator(_credential)]
    audience: Token | None = None
    bound_to: Annotated[list[Binding], AfterValidator(_distinct)] = Field(default_factory=_certificate_only)
    unbound: Literal["accept the risk"] | None = None
    clients: Annotated[list[Token], Field(min_length=1), AfterValidator(_distinct)] | None = None
    scopes: Annotated[list[Token], Field(min_length=1), AfterValidator(_distinct)] | None = None
    max_auth_age: Annotated[Duration, AfterValidator(_positive)] | None = None
    reservation: bool = False
    source: Annotated[FromRule, Field(alias="from")] = FromRule()

    def compiled(self) -> Route:
        """Return the route as the check wants it."""
        if self.credential == "public":
            return Route(name=self.name, credential=CredentialKind.PUBLIC)
        return Route(
            name=self.name,
            credential=CredentialKind.ONE_TIME_TOKEN,
            audience=self.audience or "",
            bound_to=frozenset(map(BoundTo, self.bound_to)),
            unbound=self.unbound is not None,
            clients=None if self.clients is None else frozenset(self.clients),
            scopes=frozenset(self.scopes or ()),
            max_auth_age_ms=self.max_auth_age,
            reservation=self.reservation,
            header=self.source.header,
            scheme=self.source.scheme,
            keeps_credential=self.source.keep,
        )


class PolicyDocument(Model):
    """The whole of ``policy.yaml``."""

    revision: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
    routes: Annotated[list[RouteRule], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy in force: its revision, which every decision names, and its compiled routes."""

    revision: str
    table: RouteTable


def policy_from(text: str, source: str) -> Policy:
    """Read and compile a policy; ``source`` is its name in messages.

    Raises:
        DocumentError: every problem at once, each with its place.
    """
    located = read_yaml(text, source)
    problems: list[Problem] = []
    document: PolicyDocument | None = None
    try:
        document = validated(located, PolicyDocument)
    except DocumentError as error:
        problems += error.problems
    known = {problem.field for problem in problems}
    problems += [problem for problem in disagreements(located, _match_of) if problem.field not in known]
    if document is None or problems:
        raise DocumentError(problems)
    return Policy(document.revision, RouteTable((rule.match.compiled(), rule.compiled()) for rule in document.routes))


def _match_of(data: Any) -> Match | None:  # noqa: ANN401 - whatever stood in the file
    """Return the match of a route that may be wrong elsewhere, or None where it is itself wrong, which is known."""
    try:
        return MatchRule.model_validate(data).compiled()
    except ValueError:
        return None
