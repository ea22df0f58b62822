"""May this client have another token for this one?  The token exchange grant (RFC 8693).

The order, each step refusing on its own:
  1. target, kind and scope: within the client's grant
  2. the subject token: verified, and of a subject that a token of ours may name
  3. the actor token, where there is one: the client's own, about itself
  4. the presenter: the subject token's holder, or the service that it is for
  5. the delegation: the client may exchange such tokens for this target, and the subject token lets it act
  6. the scope again: within the subject token's
  7. the life: no longer than the subject token's, or the actor token's, rest
  8. the details: those of the subject token stay, those asked for are within the ceiling
  9. the actors: the client outermost, and the chain of the subject token whole
"""

import secrets
from dataclasses import dataclass
from typing import Final

from ott_extauthz.issuer.clients import Clients
from ott_extauthz.issuer.delegating import delegation_fault, scope_fault
from ott_extauthz.issuer.entitlement import entitlement
from ott_extauthz.issuer.exchanged import Exchange, order_of
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.issuer.presenting import actor_fault, presenter_fault
from ott_extauthz.issuer.request import Requester, TokenRequest, invalid_request, value
from ott_extauthz.issuer.subject import Subject
from ott_extauthz.issuer.subject_tokens import SubjectTokens
from ott_extauthz.ports import Entropy

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchange:
    """Judges token exchange requests of the issuer ``issuer``; ``lifetime_ms`` is for audiences that name none."""

    issuer: str
    tokens: SubjectTokens
    clients: Clients
    lifetime_ms: int
    entropy: Entropy = secrets.token_bytes

    async def judge(self, request: TokenRequest, requester: Requester) -> MintOrder | OAuthError:
        """Return the order for a token about the subject of another."""
        entitled = entitlement(request.form, requester.client)
        if isinstance(entitled, OAuthError):
            return entitled
        subject = self._subject(request)
        if isinstance(subject, OAuthError):
            return subject
        actor = self._actor(request, requester)
        if isinstance(actor, OAuthError):
            return actor
        fault = (
            presenter_fault(subject, requester)
            or delegation_fault(subject, requester, entitled, issuer=self.issuer)
            or scope_fault(self.tokens.scope_of(subject), entitled, request.form)
        )
        exchange = Exchange(
            request=request,
            requester=requester,
            entitled=entitled,
            subject=subject,
            name=self.tokens.name_of(subject),
            actor=actor,
        )
        return fault or order_of(exchange, lifetime_ms=self.lifetime_ms, entropy=self.entropy)

    def _subject(self, request: TokenRequest) -> Subject | OAuthError:
        found = self._verified(request, "subject_token")
        if isinstance(found, OAuthError):
            return found
        if found is None:
            return invalid_request("subject_token and subject_token_type are required")
        name = self.tokens.name_of(found)
        # RFC 9068 §5: a user that is named like a workload or a client would pass for it.
        if found.issuer is not None and (name[:7].lower() == "spiffe:" or name in self.clients):
            return invalid_request("the subject token's sub is the name of a workload or client")
        return found

    def _actor(self, request: TokenRequest, requester: Requester) -> Subject | OAuthError | None:
        found = self._verified(request, "actor_token")
        return actor_fault(found, requester) or found if isinstance(found, Subject) else found

    def _verified(self, request: TokenRequest, name: str) -> Subject | OAuthError | None:
        text, type_uri = value(request.form, name), value(request.form, f"{name}_type")
        if text is None and type_uri is None:
            return None
        if text is None or type_uri is None:
            return invalid_request(f"{name} and {name}_type go together")  # RFC 8693 §2.1
        return self.tokens.verified(text, type_uri, request.now_ms)
