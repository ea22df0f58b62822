"""Whose tokens are accepted, which of them, and where do the keys come from?  The entries of ``trust``.

- An entry without ``access_tokens`` is an issuer of our own kind: one-time tokens, mandates, and access tokens in the
  strict form of both (``at+jwt``, one audience, 300 s at most).
- An entry with ``access_tokens`` is a foreign one, an identity provider: never may it make a token that is spent, or
  a mandate, whatever it signs.
- Keys stand in a file, at an https URL, or where the issuer's own metadata says (discovery).
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ott_extauthz.authn.discovery import WellKnown, metadata_url
from ott_extauthz.documents.https_url import HttpsUrl, https_url
from ott_extauthz.documents.validated import Duration, Model
from ott_extauthz.model.token import TokenFormat
from ott_extauthz.sections.words import FilePath

Algorithm = Literal["EdDSA", "ES256", "RS256", "PS256"]
AcceptedToken = Literal["one_time_token", "mandate", "access_token"]
_OWN_KINDS: Final[tuple[AcceptedToken, ...]] = get_args(AcceptedToken)
_LIFETIMES_MS: Final = range(1000, 7 * 86_400_000 + 1)


def _key_set_place(value: Any) -> Path | HttpsUrl:  # noqa: ANN401 - whatever stood in the file
    if not isinstance(value, str) or not value:
        raise ValueError("the path of a file, or an https URL")
    return https_url(value) if "://" in value else Path(value)


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands twice")
    return values


def _given(value: Any) -> Any:  # noqa: ANN401 - whatever stood in the file
    """Refuse a key without a value: it must not come to mean that the key is not there, and everything is trusted."""
    if value is None:
        raise ValueError("has no value; leave the key out, or give it one, if only {}")
    return value


KeySetPlace = Annotated[
    Path | HttpsUrl,
    PlainValidator(_key_set_place),
    WithJsonSchema({"type": "string", "examples": ["keys/jwks.json", "https://issuer.bank.example/jwks"]}),
]
"""Where a key set stands: a file, or what an https URL answers."""

HostAndPort = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$")]
ClaimName = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,128}$")]
AudienceName = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,512}$")]


class IssuerKeys(Model):
    """One issuer, where its keys stand, and the algorithms it may use.

    Its keys stand in ``jwks``, or, with ``discovery``, where the metadata that it publishes under that well-known name
    says: on its own host, or on one of ``jwks_hosts``.  ``ca`` verifies the servers of https URLs, instead of the
    system's authorities.
    """

    issuer: Annotated[str, Field(min_length=1)]
    jwks: KeySetPlace | None = None
    discovery: Literal["openid-configuration", "oauth-authorization-server"] | None = None
    jwks_hosts: Annotated[list[HostAndPort], AfterValidator(_distinct)] = Field(default=[])
    algorithms: Annotated[list[Algorithm], Field(min_length=1)]
    ca: FilePath | None = None

    @model_validator(mode="after")
    def _keys_come_from_one_place(self) -> "IssuerKeys":
        if (self.jwks is None) == (self.discovery is None):
            raise ValueError("exactly one of jwks (a file or an https URL) and discovery (where its metadata says)")
        if self.jwks_hosts and self.discovery is None:
            raise ValueError("jwks_hosts says where discovery may lead; jwks names the place itself")
        if self.ca and not self.is_fetched:
            raise ValueError("ca is for a jwks that is an https URL, or for discovery")
        if self.discovery is not None:
            metadata_url(self.issuer, WellKnown(self.discovery))
        return self

    @property
    def is_fetched(self) -> bool:
        """Whether its keys are asked for by https."""
        return self.discovery is not None or isinstance(self.jwks, HttpsUrl)


class AccessTokens(Model):
    """What a foreign issuer's access tokens look like; the default is RFC 9068.

    ``plain`` takes those without the type ``at+jwt`` too, where their claims show that they are no ID tokens.
    ``audiences`` says how the issuer names an audience of ours where it does not use our name.  ``scope`` and
    ``client_id`` are the claims that say what a token is good for, and which client it was made for.
    """

    plain: bool = False
    audiences: dict[str, Annotated[list[AudienceName], Field(min_length=1), AfterValidator(_distinct)]] = Field(
        default={}
    )
    scope: ClaimName = "scope"
    client_id: ClaimName = "client_id"
    max_lifetime: Duration = 86_400_000

    @field_validator("max_lifetime")
    @classmethod
    def _bounded(cls, value: int) -> int:
        if value not in _LIFETIMES_MS:
            raise ValueError("between 1s and 7d: until it ends, nothing takes a token back")
        return value


class Trust(IssuerKeys):
    """One issuer whose tokens are accepted.

    ``tokens`` are the kinds it may make: without ``access_tokens`` all of our own, with it access tokens alone.
    ``format`` is how its tokens come: as JWS (``jwt``), or as PASETO v4.public, which signs with Ed25519 and needs the
    extra ``paseto``.
    """

    tokens: Annotated[
        Annotated[list[AcceptedToken], Field(min_length=1), AfterValidator(_distinct)] | None, BeforeValidator(_given)
    ] = None
    access_tokens: Annotated[AccessTokens | None, BeforeValidator(_given)] = None
    format: TokenFormat = "jwt"

    @model_validator(mode="after")
    def _paseto_is_ed25519(self) -> "Trust":
        if self.format == "paseto" and self.algorithms != ["EdDSA"]:
            raise ValueError("format: paseto is v4.public, which knows Ed25519 alone; write algorithms: [EdDSA]")
        if self.format == "paseto" and self.access_tokens is not None:
            raise ValueError("format: paseto is for tokens in our own form; access_tokens says how a foreign JWT looks")
        return self

    @model_validator(mode="after")
    def _foreigners_make_access_tokens_only(self) -> "Trust":
        if self.access_tokens is not None and self.tokens not in (None, ["access_token"]):
            raise ValueError(
                "an issuer with access_tokens is a foreign one: it makes no one-time tokens and no mandates; "
                "leave tokens out"
            )
        return self

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of tokens that count when this issuer signs them."""
        if self.access_tokens is not None:
            return frozenset({"access_token"})
        return frozenset(_OWN_KINDS if self.tokens is None else self.tokens)


class SubjectIssuer(IssuerKeys):
    """A foreign issuer whose users' tokens may be exchanged; ``audience`` is one that every such token has.

    ``token_types`` says as what its tokens may come.  ``limits_scope``: nothing is minted beyond a token's own scope;
    switch it off for issuers whose scopes mean something else.  ``subject_prefix`` goes before the ``sub``.
    """

    audience: Annotated[str, Field(min_length=1)]
    token_types: Annotated[list[Literal["id_token", "access_token", "jwt"]], Field(min_length=1)]
    limits_scope: bool = True
    subject_prefix: Annotated[str, Field(pattern=r"^[\x21-\x7e]{0,64}$")] = ""
