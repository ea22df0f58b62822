"""What does a client learn with its token (RFC 6749 §5.1, RFC 8693 §2.2.1, RFC 9396 §7)?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ott_extauthz.authn.mandates import DETAILS
from ott_extauthz.issuer.details import Detail
from ott_extauthz.issuer.kinds import TYPE_OF
from ott_extauthz.issuer.token_endpoint import Issued
from ott_extauthz.issuer.token_type import token_type


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """A successful answer; its members are those of the JSON, and None is left out."""

    access_token: str = field(repr=False)
    issued_token_type: str
    token_type: str
    expires_in: int
    scope: str
    authorization_details: Sequence[Detail] | None = None


def answer_of(issued: Issued) -> TokenAnswer:
    """Return the answer; the lifetime is rounded down, so that no client trusts a token longer than we do."""
    order = issued.order
    return TokenAnswer(
        access_token=issued.token,
        issued_token_type=TYPE_OF[order.kind],
        token_type=token_type(order.kind, is_dpop_bound=order.jkt is not None),
        expires_in=order.lifetime_ms // 1000,
        scope=" ".join(sorted(order.scope)),
        authorization_details=order.narrowing.get(DETAILS),
    )
