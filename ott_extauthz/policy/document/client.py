"""Who may call, as its author writes it?  One entry of ``clients``: how it is known, its roles, where it may go."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.policy.clients import Client, MayCall
from ott_extauthz.policy.document.route import Bundles
from ott_extauthz.policy.document.words import Host, Name, Rule, Sha256, SpiffeId, Token, checked, distinct

_PATTERN: Final = re.compile(r"[\x21\x23-\x29\x2b-\x5a\x5e-\x7e]*\*?")


def _as_list(value: Any) -> Any:  # noqa: ANN401 - whatever stood in the file
    return [value] if isinstance(value, str) else value


Pattern = Annotated[
    str, checked(_PATTERN.fullmatch, "write it in full, or as a beginning and `*`"), Field(min_length=1)
]
Patterns = Annotated[list[Pattern], Field(min_length=1), AfterValidator(distinct)]


class MayCallRule(Rule):
    """Where a client may go; each key that is there must have the call."""

    routes: Patterns | None = None
    """Names of routes, or beginnings of names: `wallet-*`."""
    audiences: Patterns | None = None
    """Audiences of routes, or their beginnings: `wallet.*`."""
    hosts: Annotated[list[Host], Field(min_length=1), AfterValidator(distinct)] | None = None
    """Exact hosts, or `*.suffix` for one label or more in front."""

    @model_validator(mode="after")
    def _says_something(self) -> "MayCallRule":
        if self.routes is None and self.audiences is None and self.hosts is None:
            raise ValueError("names none of routes, audiences, hosts; leave it out where the client may go anywhere")
        return self

    def compiled(self, known: "Vocabulary") -> MayCall:
        """Return it with the patterns of names and audiences resolved among what the policy has."""
        return MayCall(
            routes=None if self.routes is None else taken(self.routes, known.routes),
            audiences=None if self.audiences is None else taken(self.audiences, known.audiences),
            hosts=None if self.hosts is None else frozenset(self.hosts),
        )


class ClientRule(Rule):
    """A client, known by all that is named of client_id, spiffe_id and sha256."""

    client_id: Token | None = None
    """The `client_id` of its tokens."""
    spiffe_id: SpiffeId | None = None
    """The workload that calls, as Envoy verified it: the peer of the connection, not of an earlier hop."""
    sha256: (
        Annotated[
            list[Sha256],
            BeforeValidator(_as_list),
            Field(min_length=1),
            AfterValidator(distinct),
            WithJsonSchema(
                {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
            ),
        ]
        | None
    ) = None
    """The SHA-256 of its certificate in hexadecimal digits; several while certificates rotate."""
    roles: Annotated[list[Name], AfterValidator(distinct)] | None = None
    """Its roles; required where the policy has `roles`, and `[]` grants no scope."""
    may_call: MayCallRule | None = None
    """Where it may go; absent = wherever routes let it."""

    @model_validator(mode="after")
    def _is_known(self) -> "ClientRule":
        if self.client_id is None and self.spiffe_id is None and self.sha256 is None:
            raise ValueError("known by nothing; name one of client_id, spiffe_id, sha256")
        return self

    def compiled(self, bundles: Bundles | None, known: "Vocabulary") -> Client:
        """Return the entry as the check wants it; ``bundles`` is None where the policy has no roles."""
        roles = frozenset(self.roles or ())
        digests = None if self.sha256 is None else (Thumbprint(bytes.fromhex(digest)) for digest in self.sha256)
        return Client(
            client_id=self.client_id,
            spiffe_id=self.spiffe_id,
            certificates=None if digests is None else frozenset(digests),
            roles=roles,
            scopes=None if bundles is None else frozenset[str]().union(*(bundles[role] for role in roles)),
            may_call=MayCall() if self.may_call is None else self.may_call.compiled(known),
        )


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What patterns may mean: the names and the audiences of a policy's routes, sorted."""

    routes: tuple[str, ...]
    audiences: tuple[str, ...]


def taken(patterns: Iterable[str], values: Sequence[str]) -> frozenset[str]:
    """Return which of the sorted ``values`` some pattern takes: a text in full, or a beginning and ``*``."""
    return frozenset(value for pattern in patterns for value in _taken(pattern, values))


def _taken(pattern: str, values: Sequence[str]) -> Iterator[str]:
    start = pattern.removesuffix("*")
    for value in islice(values, bisect_left(values, start), None):
        if not value.startswith(start) or (start == pattern and value != pattern):
            return
        yield value
