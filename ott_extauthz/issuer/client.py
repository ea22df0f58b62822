"""Who is a client?  One entry of ``clients.yaml``: how it is known, and what it may ask for."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from ott_extauthz.documents.validated import Model
from ott_extauthz.issuer.audience_grant import AudienceGrant
from ott_extauthz.issuer.delegation import Delegation
from ott_extauthz.issuer.matcher import CertificateMatcher

AudienceName = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$")]
_File = Annotated[Path, Field(strict=False)]


class Method(StrEnum):
    """How a client authenticates, spelled as registered (RFC 8414 §2, ``token_endpoint_auth_methods_supported``)."""

    TLS = "tls_client_auth"  # RFC 8705 §2.1
    SELF_SIGNED_TLS = "self_signed_tls_client_auth"  # RFC 8705 §2.2
    PRIVATE_KEY_JWT = "private_key_jwt"  # OIDC Core §9, RFC 7523
    CLIENT_SECRET_BASIC = "client_secret_basic"  # RFC 6749 §2.3.1


PROOFS: Final[Mapping[Method, tuple[frozenset[str], str]]] = MappingProxyType(
    {
        Method.TLS: (frozenset({"certificate"}), "certificate: how its certificate is known"),
        Method.SELF_SIGNED_TLS: (
            frozenset({"certificate", "certificate_file", "jwks"}),
            "exactly one of certificate_file (PEM), jwks (with x5c), certificate (sha256, behind a proxy only)",
        ),
        Method.PRIVATE_KEY_JWT: (frozenset({"jwks"}), "jwks: the file with its public keys"),
        Method.CLIENT_SECRET_BASIC: (frozenset({"secret"}), "secret: the file that `clients secret` makes"),
    }
)
"""By what a client of each method is known; exactly one of these, and nothing else of the kind."""


class Client(Model):
    """One client: how it is known, and what it may ask for.

    ``unbound`` lets a client without certificate and DPoP key have tokens that whoever holds them may use.  With
    ``dpop: required`` it gets no token without a DPoP proof.  ``introspects`` names the audiences whose tokens it may
    ask about: its own, as a resource server.
    """

    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]
    authentication: Annotated[Method, Field(strict=False)]
    certificate: CertificateMatcher | None = None
    certificate_file: _File | None = None
    jwks: _File | None = None
    secret: _File | None = None
    unbound: Literal["accept the risk"] | None = None
    dpop: Literal["required"] | None = None
    audiences: dict[AudienceName, AudienceGrant] = Field(default={}, min_length=1)
    delegates_for: list[Delegation] = Field(default=[])
    is_audience: list[AudienceName] = Field(default=[])
    introspects: list[AudienceName] = Field(default=[])

    @property
    def needs_dpop(self) -> bool:
        """Whether each of its tokens is bound to a DPoP key."""
        return self.dpop == "required"

    @model_validator(mode="after")
    def _may_do_something(self) -> "Client":
        if not self.audiences and not self.introspects:
            raise ValueError("audiences or introspects: one of them, or the client may do nothing")
        return self

    @model_validator(mode="after")
    def _delegates_for_its_audiences(self) -> "Client":
        if any(not self.audiences.keys() >= set(each.targets) for each in self.delegates_for):
            raise ValueError("delegates_for: a target is none of the client's audiences")
        return self
