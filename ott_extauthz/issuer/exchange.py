"""May this client have another token for this one?  The token exchange grant (RFC 8693).

The order, each step refusing on its own:
  1. target, kind and scope: within the client's grant
  2. the subject token: verified, and of a subject that a token of ours may name
  3. the presenter: its holder, or the service that it is for
  4. the delegation: the client may exchange such tokens for this target, and the subject token lets it act
  5. the actor: the client, outermost in the chain; an actor token must be its own
  6. the scope again: within the subject token's
  7. the details: those of the subject token stay, those asked for are within the ceiling
  8. the life: no longer than the subject token's, or the actor token's, rest
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ott_extauthz.issuer.actors import actor_of, chain_with, may_act
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.clients import Clients
from ott_extauthz.issuer.details import counts
from ott_extauthz.issuer.entitlement import Entitlement, entitlement, narrowing
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.order import MIN_LIFETIME_MS, MintOrder, OrderError
from ott_extauthz.issuer.presenting import actor_fault, presenter_fault
from ott_extauthz.issuer.request import Form, Requester, TokenRequest, invalid_request, value
from ott_extauthz.issuer.subject import Subject
from ott_extauthz.issuer.subject_tokens import SubjectTokens
from ott_extauthz.issuer.transaction import context_from
from ott_extauthz.model.token import TokenKind
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
            or self._delegation_fault(subject, requester, entitled)
            or self._scope_fault(subject, entitled, request.form)
        )
        return fault or self._order(request, requester, entitled, subject, actor)

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

    def _delegation_fault(self, subject: Subject, requester: Requester, entitled: Entitlement) -> OAuthError | None:
        client, target = requester.client, entitled.audience
        if not _is_delegated(client, subject, target):
            if not client.delegates_for:
                return OAuthError(OAuthErrorCode.UNAUTHORIZED_CLIENT, "this client exchanges no tokens but its own")
            return invalid_request("this client does not exchange such tokens for this target")
        if not may_act(subject.may_act, requester, issuer=self.issuer):
            return invalid_request("the subject token allows another party to act, and not this client")
        if subject.client_id != client.client_id and any(map(counts, subject.details)):
            # Rates and budgets count by issuer, client and subject: under another client they would begin anew.
            return invalid_request("the subject token has a rate or a budget, which is its own client's alone")
        is_transaction = bool(subject.context)
        if is_transaction and (entitled.kind is not TokenKind.TRANSACTION or target not in subject.audiences):
            return invalid_request("a transaction token is replaced by one of the same trust domain and nothing else")
        return None

    def _scope_fault(self, subject: Subject, entitled: Entitlement, form: Form) -> OAuthError | None:
        limit = self.tokens.scope_of(subject)
        if limit is not None and not entitled.scope <= limit:
            return OAuthError(OAuthErrorCode.INVALID_SCOPE, "the scope is wider than the subject token's")
        if entitled.kind is TokenKind.TRANSACTION and value(form, "scope") is None:
            return OAuthError(OAuthErrorCode.INVALID_SCOPE, "a transaction token has a scope of its own: name it")
        return None

    def _order(
        self,
        request: TokenRequest,
        requester: Requester,
        entitled: Entitlement,
        subject: Subject,
        actor: Subject | None,
    ) -> MintOrder | OAuthError:
        ends_ms = min(each.expires_at_ms for each in (subject, actor) if each is not None)
        lifetime_ms = min(entitled.grant.lifetime_ms(self.lifetime_ms, entitled.kind), ends_ms - request.now_ms)
        if lifetime_ms < MIN_LIFETIME_MS:
            return invalid_request("the subject token, or the actor token, is about to expire")
        narrowed = narrowing(request, entitled, kept=subject.details, lifetime_ms=lifetime_ms, entropy=self.entropy)
        if isinstance(narrowed, OAuthError):
            return narrowed
        act = self._chain(subject, requester, impersonates=entitled.grant.impersonates and actor is None)
        if isinstance(act, OAuthError):
            return act
        is_transaction = entitled.kind is TokenKind.TRANSACTION
        replaced = subject.context or None
        context = context_from(request.form, requester.name, replaced) if is_transaction else {}
        if isinstance(context, OAuthError):
            return context
        try:
            return MintOrder(
                kind=entitled.kind,
                subject=self.tokens.name_of(subject),
                client_id=requester.client.client_id,
                audience=entitled.audience,
                scope=entitled.scope,
                lifetime_ms=lifetime_ms,
                not_after_ms=ends_ms,
                # A transaction token goes from workload to workload as it is.
                thumbprint=None if is_transaction else requester.thumbprint,
                jkt=None if is_transaction else requester.jkt,
                txn=subject.txn,
                auth_time_ms=subject.auth_time_ms,
                acr=subject.acr,
                amr=subject.amr,
                sid=subject.sid,
                act=act,
                may_act=subject.may_act,
                context=context,
                ring=entitled.grant.ring,
                narrowing=narrowed,
            )
        except OrderError as error:
            return invalid_request(f"the subject token says what no token of ours may say: {error}")

    def _chain(
        self, subject: Subject, requester: Requester, *, impersonates: bool
    ) -> Mapping[str, Any] | OAuthError | None:
        is_itself = subject.client_id == requester.client.client_id and subject.name == requester.name
        if subject.act is None and (is_itself or (impersonates and subject.may_act is None)):
            return None
        chain = chain_with(actor_of(requester), subject.act)
        return chain if chain is not None else invalid_request("the subject token has passed through too many actors")


def _is_delegated(client: Client, subject: Subject, target: str) -> bool:
    """Whether the token is the client's own, for the same target; or one of those it may exchange."""
    if subject.client_id == client.client_id and target in subject.audiences:
        return True
    return any(
        each.covers(issuer=subject.issuer, client=subject.client_id, subject=subject.name, target=target)
        for each in client.delegates_for
    )
