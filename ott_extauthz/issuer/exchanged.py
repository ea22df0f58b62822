"""What shall stand in an exchanged token?  The order, once it is clear that there may be one.

It is about the subject token's subject, names the client as its actor, keeps every mandate, and ends with the subject
token, or with the actor token if that ends before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ott_extauthz.issuer.actors import actor_of, chain_with
from ott_extauthz.issuer.entitlement import Entitlement, narrowing
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.order import MIN_LIFETIME_MS, MintOrder, OrderError
from ott_extauthz.issuer.request import Requester, TokenRequest, invalid_request
from ott_extauthz.issuer.subject import Subject
from ott_extauthz.issuer.transaction import context_from
from ott_extauthz.model.token import TokenKind
from ott_extauthz.ports import Entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request that was judged: who asks for what, about whom; ``name`` is the subject's in our tokens."""

    request: TokenRequest
    requester: Requester
    entitled: Entitlement
    subject: Subject
    name: str
    actor: Subject | None

    @property
    def ends_ms(self) -> int:
        """The instant that nothing made of it outlives."""
        return min(each.expires_at_ms for each in (self.subject, self.actor) if each is not None)

    @property
    def is_transaction(self) -> bool:
        """Whether a transaction token is asked for: it goes from workload to workload as it is, bound to none."""
        return self.entitled.kind is TokenKind.TRANSACTION


def order_of(exchange: Exchange, *, lifetime_ms: int, entropy: Entropy) -> MintOrder | OAuthError:
    """Return the order; ``lifetime_ms`` is for audiences that name none."""
    entitled, now_ms = exchange.entitled, exchange.request.now_ms
    life_ms = min(entitled.grant.lifetime_ms(lifetime_ms, entitled.kind), exchange.ends_ms - now_ms)
    if life_ms < MIN_LIFETIME_MS:
        return invalid_request("the subject token, or the actor token, is about to expire")
    kept = exchange.subject.details
    narrowed = narrowing(exchange.request, entitled, kept=kept, lifetime_ms=life_ms, entropy=entropy)
    if isinstance(narrowed, OAuthError):
        return narrowed
    act = _chain(exchange)
    if isinstance(act, OAuthError):
        return act
    context = _context(exchange)
    if isinstance(context, OAuthError):
        return context
    try:
        return _order(exchange, life_ms, {"narrowing": narrowed, "act": act, "context": context})
    except OrderError as error:
        return invalid_request(f"the subject token says what no token of ours may say: {error}")


def _order(exchange: Exchange, life_ms: int, parts: Mapping[str, Any]) -> MintOrder:
    entitled, subject, requester = exchange.entitled, exchange.subject, exchange.requester
    return MintOrder(
        kind=entitled.kind,
        subject=exchange.name,
        client_id=requester.client.client_id,
        audience=entitled.audience,
        scope=entitled.scope,
        lifetime_ms=life_ms,
        not_after_ms=exchange.ends_ms,
        thumbprint=None if exchange.is_transaction else requester.thumbprint,
        jkt=None if exchange.is_transaction else requester.jkt,
        txn=subject.txn,
        auth_time_ms=subject.auth_time_ms,
        acr=subject.acr,
        amr=subject.amr,
        sid=subject.sid,
        ring=entitled.grant.ring,
        format=entitled.grant.format,
        may_act=subject.may_act,
        **parts,
    )


def _chain(exchange: Exchange) -> Mapping[str, Any] | OAuthError | None:
    """Return who acts.  Nobody does for itself; and nobody goes unnamed but by the grant, and for no delegate."""
    subject, requester = exchange.subject, exchange.requester
    is_itself = subject.client_id == requester.client.client_id and subject.name == requester.name
    impersonates = exchange.entitled.grant.impersonates and exchange.actor is None and subject.may_act is None
    if subject.act is None and (is_itself or impersonates):
        return None
    chain = chain_with(actor_of(requester), subject.act)
    return chain if chain is not None else invalid_request("the subject token has passed through too many actors")


def _context(exchange: Exchange) -> dict[str, Any] | OAuthError:
    if not exchange.is_transaction:
        return {}
    return context_from(exchange.request.form, exchange.requester.name, exchange.subject.context or None)
