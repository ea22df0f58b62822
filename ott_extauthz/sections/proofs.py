"""Which DPoP proofs are taken (RFC 9449)?  The settings of the issuer and of the Check server."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ott_extauthz.documents.validated import Duration, Model

_File = Annotated[Path, Field(strict=False)]


class ProofBounds(Model):
    """How old a proof may be, and how long a nonce is handed out."""

    nonce_secret: _File | None = None
    nonce_life: Duration = 60_000
    max_age: Duration = 60_000
    lead: Duration = 5_000

    @field_validator("nonce_life", "max_age")
    @classmethod
    def _is_bounded(cls, value: int) -> int:
        if not 1000 <= value <= 300_000:  # noqa: PLR2004 - a proof is made for the request at hand
            raise ValueError("between 1s and 300s")
        return value

    @field_validator("lead")
    @classmethod
    def _lead_is_bounded(cls, value: int) -> int:
        if value > 60_000:  # noqa: PLR2004 - as for ClockBounds
            raise ValueError("at most 60s")
        return value


class Dpop(ProofBounds):
    """DPoP at the issuer: how old a proof may be, and whether it must hold a nonce of ours.

    A nonce is good for ``nonce_life`` at least and twice that at most.  Issuers behind one address share
    ``nonce_secret``, a file with at least 32 bytes; without it each makes its own at start.
    """

    nonce: Literal["required", "off"] = "required"


class CheckDpop(ProofBounds):
    """DPoP at the Check server: as at the issuer, but that nonces are off unless they are asked for.

    With ``nonce: required`` all workers and replicas share ``nonce_secret``; no server makes one of its own, for the
    next call of a client may reach another.  ``scheme`` is that of the URLs which clients call: ``request`` takes
    Envoy's word for it, which in HTTP/2 is the client's.
    """

    nonce: Literal["required", "off"] = "off"
    scheme: Literal["https", "http", "request"] = "https"

    @model_validator(mode="after")
    def _nonces_have_a_secret(self) -> "CheckDpop":
        if self.nonce == "required" and self.nonce_secret is None:
            raise ValueError(
                "nonce: required needs nonce_secret, a file with at least 32 bytes that all workers and replicas share"
            )
        if self.nonce == "off" and self.nonce_secret is not None:
            raise ValueError("nonce_secret makes nonces, and none is asked for; write nonce: required, or leave it out")
        return self
