"""Which client is asking?  One way of proving it a request, and the one that the client is registered with.

  1. the attempt: who it says it is, and one way of proving it
  2. the limit: whoever failed too often waits
  3. the proof: of a client that exists, by its own method

No refusal tells which of these failed, or whether there is such a client.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ott_extauthz.issuer.attempt import Attempt, Mechanism, attempt_from
from ott_extauthz.issuer.client import Client, Method
from ott_extauthz.issuer.clients import Clients
from ott_extauthz.issuer.failures import FailureLimits, failure_key
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.observer import IssuerObserver
from ott_extauthz.issuer.request import Requester, TokenRequest, invalid_request

_MECHANISMS = {
    Method.TLS: Mechanism.CERTIFICATE,
    Method.SELF_SIGNED_TLS: Mechanism.CERTIFICATE,
    Method.PRIVATE_KEY_JWT: Mechanism.ASSERTION,
    Method.CLIENT_SECRET_BASIC: Mechanism.SECRET,
}


class Authenticator(Protocol):
    """Says which client makes a request."""

    @property
    def methods(self) -> Sequence[Method]:
        """The methods that are on."""
        ...

    async def authenticate(self, request: TokenRequest) -> Requester | OAuthError:
        """Return the client, proven, or the refusal."""
        ...


class Proof(Protocol):
    """One mechanism: judges whether an attempt proves a client."""

    async def prove(self, attempt: Attempt, client: Client | None, request: TokenRequest) -> Requester | OAuthError:
        """Return the client, proven, or the refusal; ``client`` is None where there is none of that name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAuthentication:
    """Authenticates clients; a mechanism that is not among ``proofs`` is switched off, and proves nothing."""

    clients: Clients
    proofs: Mapping[Mechanism, Proof]
    limits: FailureLimits
    observer: IssuerObserver

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods that are on (RFC 8414, ``token_endpoint_auth_methods_supported``)."""
        return tuple(method for method in Method if _MECHANISMS[method] in self.proofs)

    async def authenticate(self, request: TokenRequest) -> Requester | OAuthError:
        """Return the client, proven, or the refusal."""
        attempt = attempt_from(request)
        if isinstance(attempt, OAuthError):
            return attempt
        client = self.clients.get(attempt.client_id) if attempt.client_id is not None else None
        key = failure_key(attempt, client, request)
        wait_ms = self.limits.wait_ms(key, request.now_ms)
        if wait_ms is not None:
            self._tell(client, request, is_limited=True)
            return _slow_down(wait_ms)
        found = await self._proven(attempt, client, request)
        if isinstance(found, OAuthError) and found.error is OAuthErrorCode.INVALID_CLIENT:
            self.limits.failed(key, request.now_ms)
            self._tell(client, request, is_limited=False)
        return found

    async def _proven(self, attempt: Attempt, client: Client | None, request: TokenRequest) -> Requester | OAuthError:
        proof = self.proofs.get(attempt.mechanism)
        return attempt.refusal if proof is None else await proof.prove(attempt, client, request)

    def _tell(self, client: Client | None, request: TokenRequest, *, is_limited: bool) -> None:
        name = client.client_id if client else None
        self.observer.authentication_failed(name, is_limited=is_limited, trace_id=request.trace_id)


def unbound(requester: Requester) -> OAuthError | None:
    """Return the refusal of a client whose token would be good for whoever holds it; asked once all is proven."""
    client = requester.client
    if requester.thumbprint is not None or requester.jkt is not None or client.unbound is not None:
        return None
    description = "this client shows a TLS client certificate or a DPoP proof, for its token to be bound to"
    return replace(invalid_request(description), client_id=client.client_id)


def _slow_down(wait_ms: int) -> OAuthError:
    description = "client authentication failed too often; wait"
    return OAuthError(OAuthErrorCode.SLOW_DOWN, description, 429, retry_after_ms=wait_ms)
