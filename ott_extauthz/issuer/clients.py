"""Which clients may ask for which tokens?  ``clients.yaml`` as values that cannot be wrong.

- Only what this version enforces can be written: an unknown key is a mistake, for a ceiling nobody holds is a lie.
- A client is one certificate matcher and, for each audience, its scopes and lifetime.  Nothing is granted by default.
- Two clients with one id, or with the same matcher, are a mistake: whose token would it be?
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ott_extauthz.documents.located import Located, Path, read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import Duration, Model, validated
from ott_extauthz.issuer.matcher import SPELLINGS, CertificateMatcher
from ott_extauthz.issuer.minter import MIN_LIFETIME_MS
from ott_extauthz.model.token import MAX_LIFETIME_MS

_NOT_IN_THIS_VERSION: Final = ("self_signed_tls_client_auth", "private_key_jwt", "client_secret_basic")


Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,128}$")]  # RFC 6749 §3.3
AudienceName = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$")]


class AudienceGrant(Model):
    """What a client may have for one audience.  Without ``lifetime`` the issuer's own, but never above the maximum."""

    scopes: Annotated[list[Scope], Field(min_length=1)]
    lifetime: Duration | None = None
    max_lifetime: Duration = MAX_LIFETIME_MS

    @field_validator("lifetime", "max_lifetime")
    @classmethod
    def _is_bounded(cls, value: int | None) -> int | None:
        if value is not None and not MIN_LIFETIME_MS <= value <= MAX_LIFETIME_MS:
            raise ValueError("between 1s and 300s")
        return value

    @model_validator(mode="after")
    def _holds_together(self) -> "AudienceGrant":
        if self.lifetime is not None and self.lifetime > self.max_lifetime:
            raise ValueError("lifetime is longer than max_lifetime")
        if len(set(self.scopes)) != len(self.scopes):
            raise ValueError("a scope stands twice")
        return self

    def lifetime_ms(self, default_ms: int) -> int:
        """How long a token lives for this audience."""
        return min(self.lifetime if self.lifetime is not None else default_ms, self.max_lifetime)


def _authentication(word: Any) -> Any:  # noqa: ANN401 - whatever stood in the file
    if word in _NOT_IN_THIS_VERSION:
        raise ValueError(f"{word} is not in this version; clients authenticate with tls_client_auth")
    return word


class Client(Model):
    """One client: how it is known, and what it may ask for."""

    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]
    authentication: Annotated[Literal["tls_client_auth"], BeforeValidator(_authentication)]
    certificate: CertificateMatcher
    audiences: Annotated[dict[AudienceName, AudienceGrant], Field(min_length=1)]


class _Document(Model):
    clients: Annotated[list[Client], Field(min_length=1)]


Clients = Mapping[str, Client]
"""Every client by its id."""


def clients_from(text: str, source: str) -> Clients:
    """Read ``clients.yaml``.

    Raises:
        DocumentError: every problem at once, each with its place.
    """
    located = read_yaml(text, source)
    doubles = list(_doubles(located))
    try:
        document = validated(located, _Document)
    except DocumentError as error:
        raise DocumentError([*error.problems, *doubles]) from None
    if doubles:
        raise DocumentError(doubles)
    return MappingProxyType({client.client_id: client for client in document.clients})


def _doubles(located: Located) -> Iterator[Problem]:
    """Compare the raw entries, so that a mistake elsewhere in the file does not hide a double."""
    seen: dict[tuple[str, str], int] = {}
    for path, kind, value in _identities(located.data):
        first = seen.setdefault((kind, value), int(path[1]))
        if first != path[1]:
            yield located.problem(path, f"clients[{first}] has the same {kind}")


def _identities(data: Any) -> Iterator[tuple[Path, str, str]]:  # noqa: ANN401 - whatever stood in the file
    entries = data.get("clients") if isinstance(data, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            continue
        if isinstance(entry.get("client_id"), str):
            yield ("clients", index, "client_id"), "client_id", entry["client_id"]
        matcher = entry.get("certificate")
        for kind, value in matcher.items() if isinstance(matcher, dict) else ():
            if isinstance(value, str) and kind in SPELLINGS:
                yield ("clients", index, "certificate", kind), kind, _spelled(kind, value)


def _spelled(kind: str, value: str) -> str:
    try:
        return SPELLINGS[kind](value)
    except ValueError:
        return value  # the model reports it
