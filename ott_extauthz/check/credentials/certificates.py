"""Is the caller's certificate one of those that the route lets in by itself?

- Envoy verified the certificate's chain at the handshake; which certificate is the caller's is the operator's rule
  (``client_certificate``).  A fault of any kind in finding it is the refusal.
- One that is listed by a name must have come whole (``source.certificate``, ``Client-Cert``, XFCC with ``Cert``): what
  a proxy writes of its names is no certificate.  By its SHA-256 it is known from XFCC's ``Hash`` too.
- A connection may outlive its certificate, so its dates are looked at anew at every request.
- With ``trust_domains`` a SPIFFE ID counts only where its own domain signed it, and a DNS name, which belongs to no
  domain, never.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.certificate_names import CertificateNames, names_in
from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.credentials.credential import LookUp, Verified
from ott_extauthz.model.facts import Facts, Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.step import Step
from ott_extauthz.model.token import Confirmation, TokenId, TokenKind, VerifiedToken
from ott_extauthz.policy.routes import Asks
from ott_extauthz.policy.terms import CertificateTerms

ISSUER = "certificate"
"""Stands for the issuer where a certificate stands in the place of a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateCredential:
    """A client certificate, and nothing beside it.

    ``proves`` says whether a certificate's SPIFFE ID was signed by its own trust domain; None where no domains are set.
    ``max_skew_ms`` is how far our clock may lag behind that of an authority which has just signed.
    """

    max_skew_ms: int
    proves: Callable[[bytes], bool] | None = None

    def is_presented(self, asks: Asks, facts: Facts) -> bool:  # noqa: ARG002 - as Credential has it
        """Whether the caller has proven a certificate, listed or not."""
        return not isinstance(facts.peer.certificate, Reason)

    def verified(self, asks: Asks, facts: Facts, attempt: Attempt) -> Verified | Rejection | LookUp:
        """Return the caller that the certificate names."""
        assert asks.callers is not None  # noqa: S101 - a route that asks for a certificate lists callers
        attempt.enter(Step.CREDENTIAL)
        thumbprint, der = facts.peer.certificate, facts.peer.der
        if isinstance(thumbprint, Reason):
            return Rejection(thumbprint)
        attempt.enter(Step.VERIFY)
        names = None if der is None else names_in(der)
        if der is not None:
            fault = Reason.CERTIFICATE_MALFORMED if names is None else self._fault(names, der, attempt.now_ms)
            if fault is not None:
                return Rejection(fault)
        token = _caller(thumbprint, names, attempt)
        attempt.saw(token)
        if thumbprint in (asks.callers.certificates or ()) or self._is_named(names, asks.callers):
            return Verified(token=token)
        unnamed = "it came without its names (source.certificate, or XFCC with Cert)" if names is None else None
        return Rejection(Reason.CERTIFICATE_DENIED, detail=unnamed)

    def _fault(self, names: CertificateNames, der: bytes, now_ms: int) -> Reason | None:
        if not names.is_current(now_ms, lead_ms=self.max_skew_ms):
            return Reason.CERTIFICATE_EXPIRED
        if names.claims_spiffe and self.proves is not None and not self.proves(der):
            return Reason.TRUST_DOMAIN_UNPROVEN
        return None

    def _is_named(self, names: CertificateNames | None, listed: CertificateTerms) -> bool:
        if names is None:
            return False
        if names.spiffe_id is not None and names.spiffe_id in (listed.spiffe_ids or ()):
            return True
        return self.proves is None and not names.dns.isdisjoint(listed.dns_names or ())


def _caller(thumbprint: Thumbprint, names: CertificateNames | None, attempt: Attempt) -> VerifiedToken:
    known = encoded(thumbprint)
    id_ = TokenId(ISSUER, known)
    subject = names.spiffe_id if names is not None and names.spiffe_id is not None else f"x5t#S256:{known}"
    return VerifiedToken(
        kind=TokenKind.CERTIFICATE,
        id=id_,
        digest=id_.digest,
        subject=subject,
        client_id=subject,
        audience=attempt.found_route.audience,
        issued_at_ms=attempt.now_ms if names is None else names.not_before_ms,
        expires_at_ms=attempt.now_ms if names is None else names.not_after_ms,
        not_before_ms=None,
        confirmation=Confirmation(x5t_s256=thumbprint),
        scope=frozenset(),
        txn=None,
        auth_time_ms=None,
        restrictions=(),
    )
