"""What stands in a rehearsal for a credential that is no token?  A token that says what the credential would prove.

Real API keys and partners' secrets have no place in a file of cases.  What is rehearsed is the policy: who the caller
is then, what it may do, and how a bad credential is refused.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from ott_extauthz.authn.cookies import HEADER
from ott_extauthz.authn.partners import Partner, SignatureForm
from ott_extauthz.authn.signed_token import SignedTokenVerifier
from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.credentials.credential import LookUp, Verified
from ott_extauthz.check.credentials.events import event_named
from ott_extauthz.check.credentials.request_verifier import SignedBy, SignedRequest
from ott_extauthz.check.credentials.tokens import TokenCredential
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.framing import framed
from ott_extauthz.model.once import Once, OnceKind
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.step import Step
from ott_extauthz.model.token import TokenKind, VerifiedToken
from ott_extauthz.policy.routes import Asks, CredentialKind, Route
from ott_extauthz.policy.terms import SignedRequestTerms

SIGNATURE_HEADER: Final = "x-signature"
"""Where the stand-in of a signed request stands."""

KINDS: Final = {
    CredentialKind.ONE_TIME_TOKEN: TokenKind.ONE_TIME,
    CredentialKind.MANDATE: TokenKind.ACCESS,
    CredentialKind.ACCESS_TOKEN: TokenKind.ACCESS,
    CredentialKind.API_KEY: TokenKind.API_KEY,
    CredentialKind.SIGNED_REQUEST: TokenKind.SIGNED_REQUEST,
}
"""The token that stands for each kind of credential; a certificate is rehearsed as it is, with the caller."""

_TOLD: Final[Mapping[TokenKind, Mapping[Reason, Reason]]] = {
    TokenKind.API_KEY: {
        Reason.TOKEN_MALFORMED: Reason.API_KEY_MALFORMED,
        Reason.TOKEN_SIGNATURE_INVALID: Reason.API_KEY_UNKNOWN,
        Reason.TOKEN_ISSUER_UNKNOWN: Reason.API_KEY_UNKNOWN,
        Reason.TOKEN_EXPIRED: Reason.API_KEY_EXPIRED,
    },
    TokenKind.SIGNED_REQUEST: {
        Reason.TOKEN_MALFORMED: Reason.SIGNATURE_MALFORMED,
        Reason.TOKEN_SIGNATURE_INVALID: Reason.SIGNATURE_INVALID,
        Reason.TOKEN_ISSUER_UNKNOWN: Reason.SIGNATURE_KEY_UNKNOWN,
        Reason.TOKEN_EXPIRED: Reason.SIGNATURE_TIME_REFUSED,
        Reason.TOKEN_NOT_YET_VALID: Reason.SIGNATURE_TIME_REFUSED,
    },
}


def place_of(asks: Asks) -> str:
    """Return the header in which a credential, or its stand-in, stands."""
    return HEADER if asks.cookie is not None else asks.header or SIGNATURE_HEADER


def audience_of(route: Route) -> str:
    """Return the audience of the stand-ins of a route, which may have none."""
    return route.audience or route.name


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVerifier(SignedTokenVerifier):
    """Believes what stands for an API key."""

    kind: ClassVar[TokenKind] = TokenKind.API_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureVerifier(SignedTokenVerifier):
    """Believes what stands for a signed request."""

    kind: ClassVar[TokenKind] = TokenKind.SIGNED_REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A credential whose stand-in is judged as a token, and refused as what it stands for."""

    verifier: SignedTokenVerifier

    def is_presented(self, asks: Asks, facts: Facts) -> bool:
        """Whether the stand-in is there."""
        return place_of(asks) in facts.headers

    def verified(self, asks: Asks, facts: Facts, attempt: Attempt) -> Verified | Rejection | LookUp:
        """Return the caller that the stand-in names."""
        verify = self.verifier.verify
        audience = audience_of(attempt.found_route)
        credential = TokenCredential(verify=lambda text, **at: verify(text, audience=audience, now_ms=at["now_ms"]))
        found = credential.verified(dataclasses.replace(asks, header=place_of(asks)), facts, attempt)
        if isinstance(found, Rejection):
            return dataclasses.replace(found, reason=_TOLD[self.verifier.kind].get(found.reason, found.reason))
        return self._judged(asks, found, facts, attempt) if isinstance(found, Verified) else found

    def _judged(self, asks: Asks, found: Verified, facts: Facts, attempt: Attempt) -> Verified | Rejection:
        if asks.signed is None:
            return found
        if asks.signed.partners is not None and found.token.subject not in asks.signed.partners:
            return Rejection(Reason.SIGNATURE_KEY_UNKNOWN)
        assert attempt.target is not None  # noqa: S101 - the route was found by it
        request = SignedRequest(
            facts=facts, target=attempt.target, terms=asks.signed, may_be_unseen=False, now_ms=attempt.now_ms
        )
        event = _event_of(found.token, asks.signed, request)
        if isinstance(event, Rejection):
            attempt.enter(Step.VERIFY)  # where the Check finds it
            return event
        return dataclasses.replace(found, once=(_nonce_of(found.token), *event))


def _event_of(token: VerifiedToken, terms: SignedRequestTerms, request: SignedRequest) -> tuple[Once, ...] | Rejection:
    """Return the event that the request brings, as if its partner had signed body and headers."""
    partner = Partner(name=token.subject, client_id=token.client_id, form=SignatureForm.HTTP_SIGNATURES, keys=())
    signed = SignedBy(
        partner=partner, name="", signed_at_ms=token.issued_at_ms, covered=frozenset(request.facts.headers),
        covers_body=True, carriers=(),
    )  # fmt: skip
    event = event_named(terms.event, signed, request)
    if isinstance(event, Rejection):
        return event
    if terms.event is None or event is None:
        return ()
    return (
        Once(
            kind=OnceKind.EVENT,
            key=hashlib.sha256(framed("event of a rehearsal", token.subject, event)).digest(),
            acceptable_from_ms=token.issued_at_ms,
            acceptable_until_ms=max(request.now_ms + terms.event.kept_ms, token.expires_at_ms),
            repeat_status=terms.event.repeat_status,
        ),
    )


def _nonce_of(token: VerifiedToken) -> Once:
    return Once(
        kind=OnceKind.NONCE,
        key=token.digest,
        acceptable_from_ms=token.issued_at_ms,
        acceptable_until_ms=token.expires_at_ms,
    )
