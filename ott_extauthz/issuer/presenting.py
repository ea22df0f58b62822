"""Is this token the presenter's to exchange?  Its holder's, or the service's that it is for (RFC 8693 §1, §2.1).

- A bound token is exchanged by whoever proves what it is bound to (RFC 8705 §3, RFC 9449 §6), else it was stolen.
- The service that a token is for has seen it come in with its proof, and may pass the caller's call on.  Which client
  is which service, ``is_audience`` in ``clients.yaml`` says.
- A token of ours was made for one client: nobody else holds it but the service it is for.
"""

import hmac

from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.request import Requester, invalid_request
from ott_extauthz.issuer.subject import Subject


def presenter_fault(subject: Subject, requester: Requester) -> OAuthError | None:
    """Return why the client must not have the subject token."""
    if not subject.audiences.isdisjoint(requester.client.is_audience):
        return None
    if subject.issuer is None and subject.client_id != requester.client.client_id:
        return invalid_request("the subject token was made for another client, and is not for this one's service")
    if not _proves(requester, subject):
        return invalid_request("the subject token is bound to another certificate or key")
    return None


def actor_fault(actor: Subject, requester: Requester) -> OAuthError | None:
    """Return why the actor token does not speak for the client: it is one of ours, the client's own, about itself."""
    is_own = actor.issuer is None and actor.client_id == requester.client.client_id
    if not is_own or actor.name != requester.name or actor.act is not None or actor.context:
        return invalid_request("the actor token is not one of this client about itself")
    if not _proves(requester, actor):
        return invalid_request("the actor token is bound to another certificate or key")
    return None


def _proves(requester: Requester, token: Subject) -> bool:
    proven = {"x5t#S256": requester.thumbprint, "jkt": requester.jkt}
    return all(hmac.compare_digest(proven[name] or b"", digest) for name, digest in token.confirmation.items())
