"""What keeps a stolen token from its thief: the certificate it was made for, or the workload's name alone?

The name is the weaker of the two.  Whoever proves that SPIFFE ID to the receiving proxy, by whatever certificate, may
use the token, and a route that asks for no binding takes it from anybody; so ``clients.yaml`` must allow it.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Final

from ott_extauthz.issuer.audience_grant import AudienceGrant
from ott_extauthz.issuer.certificate import is_spiffe_id
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.issuer.request import invalid_request


class Binding(StrEnum):
    """What a token is bound to."""

    CERTIFICATE = "certificate"
    WORKLOAD = "workload"


_NOT_ALLOWED: Final = OAuthError(
    OAuthErrorCode.UNAUTHORIZED_CLIENT, "this client has no workload-bound tokens for the audience"
)
_NEEDS_PROOF: Final = OAuthError(
    OAuthErrorCode.UNAUTHORIZED_CLIENT, "this client needs a DPoP proof, which is shown at the token endpoint"
)


def for_lack_of_proof(client: Client) -> OAuthError | None:
    """Return the refusal of a client whose tokens are all bound to a DPoP key, where no proof can be shown."""
    return _NEEDS_PROOF if client.needs_dpop else None


def bound_to_workload(order: MintOrder, grant: AudienceGrant) -> MintOrder | OAuthError:
    """Return the order for a token that any certificate of its subject, a SPIFFE ID, may use; or the refusal."""
    if not grant.workload_bound:
        return _NOT_ALLOWED
    if not is_spiffe_id(order.subject):  # a client_id, which no proxy compares with anything
        return invalid_request("binding: a token is bound to a workload by its SPIFFE ID, and the certificate has none")
    return replace(order, thumbprint=None)
