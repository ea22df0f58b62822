"""Is the caller the one this token was made for (RFC 8705 §3.1, RFC 7800)?

- What the token's ``cnf`` says must hold, every member, on every route: a binding we cannot prove is a refusal.
  ``jkt`` is not judged here: it needs a proof (RFC 9449), which is about the request, too.
- What the route's ``bound_to`` asks for must be in the token, and hold.
- A fault in reading the certificate is never "no certificate needed": it is passed on as the refusal's reason.
"""

import hmac

from ott_extauthz.model.facts import Peer, Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.token import VerifiedToken


def binding_fault(token: VerifiedToken, peer: Peer, *, needs_certificate: bool, needs_workload: bool) -> Reason | None:
    """Return why the token is not this caller's, or None when every binding but that to a DPoP key holds."""
    if token.confirmation.others:
        return Reason.BINDING_UNSUPPORTED
    bound_to = token.confirmation.x5t_s256
    if bound_to is None and needs_certificate:
        return Reason.TOKEN_UNBOUND
    if bound_to is not None:
        fault = _certificate_fault(bound_to, peer.certificate)
        if fault is not None:
            return fault
    if needs_workload and not peer.is_proven:
        return Reason.TRUST_DOMAIN_UNPROVEN
    if needs_workload and not _is_workload(token.subject, peer.principal):
        return Reason.WORKLOAD_MISMATCH
    return None


def _certificate_fault(bound_to: Thumbprint, presented: Thumbprint | Reason) -> Reason | None:
    if isinstance(presented, Reason):
        return presented
    return None if hmac.compare_digest(bound_to, presented) else Reason.CERTIFICATE_MISMATCH


def _is_workload(subject: str, principal: str) -> bool:
    # Only a URI SAN names a workload; Envoy falls back to a DNS name or the subject, which others may choose.
    return "://" in principal and "\0" not in principal and subject == principal
