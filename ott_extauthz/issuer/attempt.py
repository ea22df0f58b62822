"""Which client says it asks, and by what does it mean to prove it?  One way a request, or none (RFC 6749 §2.3).

A certificate beside an assertion or a secret is no second authentication: it is what the token shall be bound to.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from ott_extauthz.authn.compact import UnverifiedToken, unverified_from
from ott_extauthz.issuer.basic import REALM, basic_from, is_basic
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.request import TokenRequest, invalid_request, value
from ott_extauthz.model.reason import Reason

JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 §2.2

UNAUTHENTICATED: Final = OAuthError(OAuthErrorCode.INVALID_CLIENT, "client authentication failed", 401)
NOTHING_SHOWN: Final = OAuthError(
    OAuthErrorCode.INVALID_CLIENT,
    "client authentication failed: no TLS client certificate, assertion or other credential was presented",
    401,
)
_UNAUTHENTICATED_BASIC: Final = OAuthError(
    UNAUTHENTICATED.error, UNAUTHENTICATED.description, UNAUTHENTICATED.status, challenge=REALM
)
_SECRET_IN_FORM: Final = OAuthError(
    OAuthErrorCode.INVALID_CLIENT, "client authentication failed: this server takes no client_secret in the form", 401
)
_TWO_WAYS: Final = "the client authenticates in two ways at once"


class Mechanism(Enum):
    """What a request shows of its client."""

    CERTIFICATE = auto()
    ASSERTION = auto()
    SECRET = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Who a client says it is, and what shall prove it; nothing of it is believed.

    ``client_id`` is None where what it says is malformed, or says two things.
    """

    mechanism: Mechanism
    client_id: str | None
    assertion: UnverifiedToken | None = field(default=None, repr=False)
    secret: str = field(default="", repr=False)

    @property
    def refusal(self) -> OAuthError:
        """The answer to a failed attempt, the same whatever failed: unknown client, wrong method, wrong proof."""
        return _UNAUTHENTICATED_BASIC if self.mechanism is Mechanism.SECRET else UNAUTHENTICATED


def attempt_from(request: TokenRequest) -> Attempt | OAuthError:
    """Return the one attempt that a request makes, or the refusal of none and of several."""
    if len(request.authorization) > 1:
        return invalid_request("the Authorization header stands twice")
    header = request.authorization[0] if request.authorization else None
    if header is not None and not is_basic(header):
        return invalid_request("the Authorization header authenticates no client here")
    assertion, kind = value(request.form, "client_assertion"), value(request.form, "client_assertion_type")
    secret = value(request.form, "client_secret")
    if sum(shown is not None for shown in (header, assertion or kind, secret)) > 1:
        return invalid_request(_TWO_WAYS)
    if secret is not None:
        return _SECRET_IN_FORM if request.certificate is None else invalid_request(_TWO_WAYS)
    if header is not None:
        return _by_secret(header, request)
    if assertion is not None or kind is not None:
        return _by_assertion(assertion, kind, request)
    return _by_certificate(request)


def _by_certificate(request: TokenRequest) -> Attempt | OAuthError:
    if request.certificate is None:
        return NOTHING_SHOWN
    client_id = value(request.form, "client_id")
    if client_id is None:
        return invalid_request("client_id is missing")
    return Attempt(mechanism=Mechanism.CERTIFICATE, client_id=client_id)


def _by_secret(header: str, request: TokenRequest) -> Attempt:
    found = basic_from(header)
    if found is None:
        return Attempt(mechanism=Mechanism.SECRET, client_id=None)
    return Attempt(mechanism=Mechanism.SECRET, client_id=_agreed(found.client_id, request), secret=found.secret)


def _by_assertion(text: str | None, kind: str | None, request: TokenRequest) -> Attempt | OAuthError:
    if text is None or kind is None:
        return invalid_request("client_assertion and client_assertion_type go together")
    found = unverified_from(text) if kind == JWT_BEARER else Reason.TOKEN_MALFORMED
    if isinstance(found, Reason):
        return Attempt(mechanism=Mechanism.ASSERTION, client_id=None)
    subject = found.claims.get("sub")
    client_id = _agreed(subject, request) if isinstance(subject, str) else None
    return Attempt(mechanism=Mechanism.ASSERTION, client_id=client_id, assertion=found)


def _agreed(client_id: str, request: TokenRequest) -> str | None:
    """A ``client_id`` in the form need not be there, but if it is, it is the same one (RFC 7521 §4.2)."""
    return client_id if value(request.form, "client_id") in (None, client_id) else None
