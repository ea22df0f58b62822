"""Where does a server listen, and whose certificate does it take for the caller's?"""

from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from ott_extauthz.documents.validated import Model
from ott_extauthz.sections.words import Address, FilePath, as_list


class Tls(Model):
    """A server certificate; with ``client_ca`` clients must show one too (mTLS).  Changed files are read anew."""

    certificate: FilePath
    key: FilePath
    client_ca: FilePath | None = None


class Listen(Model):
    """Where the Check server listens.  Several ``check`` addresses mean one worker process each."""

    check: Annotated[list[Address], BeforeValidator(as_list), Field(min_length=1)] = Field(default=["127.0.0.1:9001"])
    admin: Address = "127.0.0.1:9002"
    transport: Literal["auto", "native", "grpcio"] = "auto"
    tls: Tls | None = None

    @property
    def chosen_transport(self) -> Literal["native", "grpcio"]:
        """``auto`` takes native unless TLS is configured, which native cannot do."""
        if self.transport == "auto":
            return "grpcio" if self.tls else "native"
        return self.transport

    @model_validator(mode="after")
    def _native_has_no_tls(self) -> "Listen":
        if self.transport == "native" and self.tls:
            raise ValueError("transport native serves no TLS; take grpcio or auto")
        return self

    @field_validator("check")
    @classmethod
    def _addresses_differ(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError("an address stands twice")
        return value


class ClientCertificate(Model):
    """Which certificate counts as the caller's: the trust rule for ``source.certificate``, XFCC or RFC 9440.

    ``exact_hops`` refuses an XFCC header with more elements than ``trusted_hops`` + 1, for proxies that never append to
    what a client sent (SANITIZE_SET).
    """

    source: Literal["peer", "xfcc", "rfc9440"] = "peer"
    trusted_hops: Annotated[int, Field(ge=0, le=8)] = 0
    hop_identities: list[str] = Field(default=[])
    exact_hops: bool = False

    @model_validator(mode="after")
    def _hops_are_named(self) -> "ClientCertificate":
        if self.trusted_hops and self.source != "xfcc":
            raise ValueError("trusted_hops counts XFCC elements; it needs source: xfcc")
        if self.trusted_hops and not self.hop_identities:
            raise ValueError("trusted_hops needs hop_identities: the URI SANs of the proxies to the caller's right")
        return self
