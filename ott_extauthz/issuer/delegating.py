"""May this client exchange this token for that target?  The delegation, and the scope that it passes on."""

from ott_extauthz.issuer.actors import may_act
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.details import counts
from ott_extauthz.issuer.entitlement import Entitlement
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.request import Form, Requester, invalid_request, value
from ott_extauthz.issuer.subject import Subject
from ott_extauthz.model.token import TokenKind


def delegation_fault(
    subject: Subject, requester: Requester, entitled: Entitlement, *, issuer: str
) -> OAuthError | None:
    """Return why the client must not act for the subject; ``issuer`` is ours, whose clients ``may_act`` may name."""
    client, target = requester.client, entitled.audience
    if not _is_delegated(client, subject, target):
        if not client.delegates_for:
            return OAuthError(OAuthErrorCode.UNAUTHORIZED_CLIENT, "this client exchanges no tokens but its own")
        return invalid_request("this client does not exchange such tokens for this target")
    if not may_act(subject.may_act, requester, issuer=issuer):
        return invalid_request("the subject token allows another party to act, and not this client")
    if subject.client_id != client.client_id and any(map(counts, subject.details)):
        # Rates and budgets count by issuer, client and subject: under another client they would begin anew.
        return invalid_request("the subject token has a rate or a budget, which is its own client's alone")
    is_transaction = bool(subject.context)
    if is_transaction and (entitled.kind is not TokenKind.TRANSACTION or target not in subject.audiences):
        return invalid_request("a transaction token is replaced by one of the same trust domain and nothing else")
    return None


def scope_fault(limit: frozenset[str] | None, entitled: Entitlement, form: Form) -> OAuthError | None:
    """Return why the token must not have its scope; ``limit`` is the subject token's, None where it has no say."""
    if limit is not None and not entitled.scope <= limit:
        return OAuthError(OAuthErrorCode.INVALID_SCOPE, "the scope is wider than the subject token's")
    if entitled.kind is TokenKind.TRANSACTION and value(form, "scope") is None:
        return OAuthError(OAuthErrorCode.INVALID_SCOPE, "a transaction token has a scope of its own: name it")
    return None


def _is_delegated(client: Client, subject: Subject, target: str) -> bool:
    """Whether the token is the client's own, for the same target; or one of those it may exchange."""
    if subject.client_id == client.client_id and target in subject.audiences:
        return True
    return any(
        each.covers(issuer=subject.issuer, client=subject.client_id, subject=subject.name, target=target)
        for each in client.delegates_for
    )
