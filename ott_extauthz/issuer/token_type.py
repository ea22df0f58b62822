"""What does ``token_type`` say of a token (RFC 6749 §7.1, RFC 8693 §2.2.1, RFC 9449 §5)?

- ``DPoP`` tells a client that its token is bound to its key, and so that this server knows of DPoP at all.
- ``Bearer`` is every other token that a resource takes, certificate-bound ones too: TLS proves the possession, the
  request looks no different (RFC 8705 §3).  A one-time token is one of these.  ``N_A`` would be truer of a token that
  goes into ``x-ott``, but clients refuse it from the client credentials grant, as RFC 6749 §7.1 bids them to.
- ``N_A`` is for what no resource takes as an access token: a transaction token.
"""

from typing import Final

from ott_extauthz.model.token import TokenKind

BEARER: Final = "Bearer"
DPOP: Final = "DPoP"
NOT_APPLICABLE: Final = "N_A"


def token_type(kind: TokenKind, *, is_dpop_bound: bool) -> str:
    """Return the registered name."""
    if kind is TokenKind.TRANSACTION:
        return NOT_APPLICABLE
    return DPOP if is_dpop_bound else BEARER
