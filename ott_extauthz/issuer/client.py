"""Who is a client?  One entry of ``clients.yaml``: how it is known, and what it may ask for."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from ott_extauthz.documents.validated import Model
from ott_extauthz.issuer.audience_grant import AudienceGrant
from ott_extauthz.issuer.matcher import CertificateMatcher

_NOT_IN_THIS_VERSION: Final = ("self_signed_tls_client_auth", "private_key_jwt", "client_secret_basic")

AudienceName = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$")]


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
