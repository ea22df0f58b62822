"""Where do API keys stand, and where does Envoy leave what it verified?  Two sections of ``ott.yaml``."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, field_validator

from ott_extauthz.authn.api_key_form import PREFIX
from ott_extauthz.documents.validated import Duration, Model

_LONGEST_WARNING_MS: Final = 366 * 86_400_000

_File = Annotated[Path, Field(strict=False)]
_Key = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,128}$")]


class ApiKeys(Model):
    """API keys.  ``file`` has their hashes, and is followed while serving; `ott-extauthz api-keys` writes it.

    ``prefix`` is what new keys begin with.  From ``warn_before`` their end on clients are told, in the response headers
    `Deprecation` and `Sunset`.
    """

    file: _File
    prefix: Annotated[str, Field(pattern=f"^{PREFIX.pattern}$")] = "ottkey"
    warn_before: Duration = 30 * 86_400_000

    @field_validator("warn_before")
    @classmethod
    def _bounded(cls, value: int) -> int:
        if value > _LONGEST_WARNING_MS:
            raise ValueError("at most 366d")
        return value


class EnvoyPayload(Model):
    """Where Envoy's `jwt_authn` leaves what it verified: the namespace of its dynamic metadata, and the keys in it.

    ``payload`` is its provider's `payload_in_metadata`, ``header`` its `header_in_metadata`.
    """

    namespace: _Key = "envoy.filters.http.jwt_authn"
    payload: _Key = "ott_payload"
    header: _Key = "ott_header"
