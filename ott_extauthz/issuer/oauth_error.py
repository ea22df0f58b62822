"""What does the token endpoint answer when it refuses?  The closed list of codes, and a refusal as a value."""

from dataclasses import dataclass
from enum import StrEnum


class OAuthErrorCode(StrEnum):
    """The codes a token request can be refused with, spelled as registered."""

    INVALID_REQUEST = "invalid_request"  # RFC 6749 §5.2
    INVALID_CLIENT = "invalid_client"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TARGET = "invalid_target"  # RFC 8707 §2
    INVALID_AUTHORIZATION_DETAILS = "invalid_authorization_details"  # RFC 9396 §5
    INVALID_DPOP_PROOF = "invalid_dpop_proof"  # RFC 9449 §5
    USE_DPOP_NONCE = "use_dpop_nonce"  # RFC 9449 §8
    SLOW_DOWN = "slow_down"  # RFC 8628 §3.5; said here to a client that failed too often
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"  # RFC 6749 §4.1.2.1; §5.2 has no word for an outage,
    SERVER_ERROR = "server_error"  # nor for a fault of ours


@dataclass(frozen=True, slots=True)
class OAuthError:
    """A refused token request (RFC 6749 §5.2).

    ``description`` helps the developer of an honest client: ASCII without quote and backslash, and never a value the
    caller sent.  ``client_id`` is set once the client is authenticated.  ``challenge`` goes into ``WWW-Authenticate``,
    ``dpop_nonce`` into ``DPoP-Nonce``, ``retry_after_ms`` into ``Retry-After``.
    """

    error: OAuthErrorCode
    description: str
    status: int = 400
    client_id: str | None = None
    challenge: str | None = None
    dpop_nonce: str | None = None
    retry_after_ms: int | None = None
