"""Where do the tokens of attaching routes come from, and the keys that sign requests?"""

from typing import Annotated, Literal

from pydantic import (
    Field,
    model_validator,
)

from ott_extauthz.documents.validated import Model
from ott_extauthz.sections.signing import SigningKeys
from ott_extauthz.sections.words import Address, FilePath


class AttachIssuer(Model):
    """The issuer to ask over gRPC, as the workload whose certificate this is; the tokens are bound to it.

    With ``binding: workload`` they are bound to its SPIFFE ID alone, for a mesh whose Envoy calls with another
    certificate of the same workload.  Changed files are read anew.  ``name`` is what the issuer's certificate must say
    where ``address`` does not.
    """

    address: Address
    ca: FilePath
    certificate: FilePath
    key: FilePath
    name: str | None = None
    binding: Literal["certificate", "workload"] = "certificate"


class Attach(SigningKeys):
    """Whose tokens attaching routes put on requests, and where they come from: the issuer, or keys of our own.

    ``signing_keys`` are those that sign requests; where that is all, neither ``issuer`` nor ``client_id`` is needed.

    Minted here with the keys of ``issuer``, they are bound to ``certificate``, the one that Envoy presents, or to the
    workload ``spiffe_id``; what may stand in them is what ``issuer.clients`` grants ``client_id``.
    """

    issuer: AttachIssuer | None = None
    client_id: str | None = None
    certificate: FilePath | None = None
    spiffe_id: Annotated[str, Field(pattern=r"^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$")] | None = None

    @property
    def has_tokens(self) -> bool:
        """Whether there is somewhere to get tokens from."""
        return self.issuer is not None or self.client_id is not None

    @model_validator(mode="after")
    def _is_one_source(self) -> "Attach":
        if self.issuer is not None and self.client_id is not None:
            raise ValueError("at most one of issuer (asked over gRPC) and client_id (minted here)")
        if not self.has_tokens and not self.signing_keys:
            raise ValueError("one of issuer (tokens asked for), client_id (minted here) and signing_keys")
        bound = [name for name in (self.certificate, self.spiffe_id) if name is not None]
        if self.issuer is not None and bound:
            raise ValueError("with issuer the tokens are bound to attach.issuer.certificate; leave the others out")
        if not self.has_tokens and bound:
            raise ValueError("certificate and spiffe_id are what tokens are bound to; they go with client_id")
        if self.client_id is not None and len(bound) != 1:
            raise ValueError("exactly one of certificate (that Envoy presents) and spiffe_id (the workload's)")
        return self
