"""What does a client learn with its token (RFC 6749 §5.1, RFC 8693 §2.2.1, RFC 9396 §7)?

``token_type`` says how a token is used.  An access token or mandate is ``DPoP`` where it is bound to a key, else
``Bearer``, also where it is bound to a certificate (RFC 8705 §3).  A one-time token goes into ``x-ott``, a transaction
token into ``Txn-Token``, under no HTTP authentication scheme: ``N_A`` (RFC 8693 §2.2.1); RFC 6749 §8.1 allows no
unregistered name, and ``Bearer`` would invite clients to send a token more than once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.authn.mandates import DETAILS
from ott_extauthz.issuer.details import Detail
from ott_extauthz.issuer.kinds import TYPE_OF
from ott_extauthz.issuer.token_endpoint import Issued
from ott_extauthz.model.token import TokenKind

NO_SCHEME: Final = "N_A"


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
        token_type=("Bearer" if order.jkt is None else "DPoP") if order.kind is TokenKind.ACCESS else NO_SCHEME,
        expires_in=order.lifetime_ms // 1000,
        scope=" ".join(sorted(order.scope)),
        authorization_details=order.narrowing.get(DETAILS),
    )
