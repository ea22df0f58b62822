"""Which requests does a route mean, as its author writes it?"""

import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ott_extauthz.policy.conditions import CONTENT_TYPE, Conditions
from ott_extauthz.policy.document.words import (
    Host,
    Method,
    PathTemplate,
    Rule,
    checked,
    distinct,
    is_free_header,
    is_header_name,
)
from ott_extauthz.policy.routes import Match
from ott_extauthz.policy.template import ASTERISK, Template, template_from

PRESENT: Final = {"present": True}
_VALUE: Final = re.compile(r"[\x21-\x2b\x2d-\x7e](?:[\x20-\x2b\x2d-\x7e]{0,254}[\x21-\x2b\x2d-\x7e])?")
_SECRETS: Final = frozenset({"authorization", "proxy-authorization", "x-ott", "x-api-key"})
_IDENTIFIER: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_SERVICE: Final = re.compile(rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*")


def _condition(value: Any) -> str | None:  # noqa: ANN401 - whatever stood in the file
    if isinstance(value, dict) and value == PRESENT and value["present"] is True:
        return None
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise ValueError(
            "write the exact value, visible ASCII without a comma (a number in quotes), or {present: true}"
        )
    return value


def _may_decide(name: str) -> bool:
    return name == CONTENT_TYPE or (is_free_header(name) and name not in _SECRETS)


ConditionHeader = Annotated[
    str,
    checked(is_header_name, "a header is a lower-case token without '_'"),
    checked(_may_decide, "this header carries a credential or has another meaning, and selects no route"),
]
Condition = Annotated[
    str | None,
    BeforeValidator(_condition),
    WithJsonSchema({
        "anyOf": [
            {"type": "string", "description": "The exact value."},
            {"const": PRESENT, "description": "Any value but an empty one."},
        ]
    }),
]  # fmt: skip


class GrpcRule(Rule):
    """A gRPC service, or one method of it: POST to `/service/method` with content-type application/grpc."""

    service: Annotated[str, checked(_SERVICE.fullmatch, "a gRPC service is written package.Service")]
    """The full name of the service, `package.Service`."""
    method: Annotated[str, checked(re.compile(_IDENTIFIER).fullmatch, "a gRPC method is a name: Debit")] | None = None
    """The method; absent = every method of the service."""

    def template(self) -> Template:
        """Return the path that gRPC gives the method."""
        return template_from(f"/{self.service}/{self.method or '{method}'}")


class MatchRule(Rule):
    """Which requests a route means: `path` or `grpc`, and what narrows it."""

    hosts: Annotated[list[Host], Field(min_length=1), AfterValidator(distinct)] | None = None
    """Exact hosts, or `*.suffix` for one label or more in front; absent = any host."""
    methods: Annotated[list[Method], Field(min_length=1), AfterValidator(distinct)] | None = None
    """HTTP methods; absent = any method.  HEAD is not GET."""
    path: PathTemplate | None = None
    """A path template: `{name}` takes one segment, a last `{name**}` one or more; `*` is for `OPTIONS *`."""
    headers: Annotated[dict[ConditionHeader, Condition], Field(min_length=1)] | None = None
    """Headers that must be there: `name: value` exactly, or `name: {present: true}`.  They only narrow."""
    grpc: GrpcRule | None = None
    """A gRPC service or method, instead of `path` and `methods`."""

    @model_validator(mode="after")
    def _holds_together(self) -> "MatchRule":
        if (self.path is None) == (self.grpc is None):
            raise ValueError("write one of path and grpc")
        if self.grpc is not None and (self.methods is not None or CONTENT_TYPE in (self.headers or ())):
            raise ValueError(f"grpc says the method and the {CONTENT_TYPE} itself; leave them out")
        if self.path is not None and self.path.text == ASTERISK and self.methods != ["OPTIONS"]:
            raise ValueError("the path * needs methods: [OPTIONS]")
        return self

    def compiled(self) -> Match:
        """Return the match as the table wants it."""
        methods = ["POST"] if self.grpc else self.methods
        template = self.grpc.template() if self.grpc else self.path
        if template is None:
            raise ValueError("write one of path and grpc")
        return Match(
            template=template,
            hosts=None if self.hosts is None else tuple(self.hosts),
            methods=None if methods is None else tuple(methods),
            conditions=Conditions(tuple(sorted((self.headers or {}).items())), self.grpc is not None),
        )
