"""What may a client have for one audience?  One entry of ``audiences`` in ``clients.yaml``."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ott_extauthz.documents.validated import Duration, Model
from ott_extauthz.issuer.order import DEFAULT_RING, MIN_LIFETIME_MS
from ott_extauthz.model.token import MAX_LIFETIME_MS

Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,128}$")]  # RFC 6749 §3.3


class AudienceGrant(Model):
    """What a client may have for one audience.  Without ``lifetime`` the issuer's own, but never above the maximum.

    ``ring`` names the keys of ``issuer.rings`` that its tokens are signed with; without it, those of ``issuer.keys``.
    """

    scopes: Annotated[list[Scope], Field(min_length=1)]
    lifetime: Duration | None = None
    max_lifetime: Duration = MAX_LIFETIME_MS
    ring: str = DEFAULT_RING

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
