"""What may a condition look at?  The values of one Check, as they are; nothing is converted before it is asked for.

- None means absent: ``has()`` is false and reading it is an error, never an empty text that something might equal.
- UNCLEAR means two readings: ``has()`` is an error too.  Were it absent, a caller who sends a thing twice would get
  around every condition that refuses where the thing is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ott_extauthz.model.mandate import Money


class Unclear:
    """What can be read in two ways; to ask for it, or whether it is there, is an error."""


UNCLEAR: Final = Unclear()


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A body's value, as :func:`ott_extauthz.model.json_body.json_body` read it; None in it is JSON's null."""

    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the call comes from: the address, and the number of its network where a database is at hand."""

    ip: str | None = None
    asn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The request: ``method``, ``host`` and ``path`` canonical, header names in lower case, ``time`` with its zone."""

    method: str
    host: str
    path: str | Unclear
    time: datetime
    path_params: Mapping[str, str | Unclear] = field(default_factory=dict)
    query: Mapping[str, Sequence[str]] | Unclear | None = field(default_factory=dict)
    headers: Mapping[str, str | Unclear] = field(default_factory=dict, repr=False)
    source: Source = Source()
    json: JsonBody | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The verified token; ``id`` is its showable name, for the ``jti`` itself is kept nowhere."""

    sub: str
    client_id: str
    iss: str
    aud: str
    id: str
    scope: Sequence[str] = ()
    txn: str | None = None
    auth_time: datetime | None = None
    acr: str | None = None
    amr: Sequence[str] | None = None
    sid: str | None = None
    act: Mapping[str, Any] | None = None
    max_amount: Money | Unclear | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The caller's verified certificate; ``thumbprint`` is x5t#S256 in base64url."""

    spiffe_id: str | None = None
    thumbprint: str | None = None
    trust_domain: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """The constraints of the mandates that came with the call, each where one of them has it; UNCLEAR where several."""

    identifier: str | Unclear | None = None
    brand: Sequence[str] | Unclear | None = None
    region: Sequence[str] | Unclear | None = None
    cidr: Sequence[str] | Unclear | None = None
    asn: Sequence[int] | Unclear | None = None
    max_amount: Money | Unclear | None = None
    budget: Money | Unclear | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Where we stand ourselves."""

    policy_revision: str
    route: str
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything a condition may name."""

    request: Request
    mesh: Mesh
    token: Token | None = None
    peer: Peer | None = None
    mandate: Mandate | None = None
