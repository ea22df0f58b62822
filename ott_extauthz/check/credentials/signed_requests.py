"""Who signed this request, when, and was it or its event here before?  Whatever the form of the signature.

The order, each step refusing on its own:
  1. the form: the one that the request brings and that a partner of the route signs in
  2. the signature, by that form's verifier; what it covers is believed from here on, and nothing else
  3. the window: not signed too long ago, and hardly ahead of our clock
  4. the event, where the route has one: its name is signed, too

A signature is good once for all routes, so its nonce is kept as long as the widest window of the policy, and counted
from the earliest instant at which any route would have taken it.  An event is good once within its sender, whatever
route it comes to.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ott_extauthz.authn.partners import Partner, Partners, SignatureForm
from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.credentials.credential import LookUp, Verified
from ott_extauthz.check.credentials.events import event_named
from ott_extauthz.check.credentials.request_verifier import RequestVerifier, SignedBy, SignedRequest
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.framing import framed
from ott_extauthz.model.once import Once, OnceKind
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.step import Step
from ott_extauthz.model.token import Confirmation, TokenId, TokenKind, VerifiedToken
from ott_extauthz.policy.routes import Asks
from ott_extauthz.policy.terms import EventTerms, SignedRequestTerms, SignedSpan

DEFAULT_EVENT_KEPT_MS: Final = 86_400_000
"""How long the id of a message is kept that names its event itself, where the route says nothing of events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequestCredential:
    """A request that one of our partners signed; ``partners`` is asked once for each request."""

    partners: Callable[[], Partners]
    verifiers: Mapping[SignatureForm, RequestVerifier]

    def is_presented(self, asks: Asks, facts: Facts) -> bool:  # noqa: ARG002 - the interface's
        """Whether the request brings a signature of any form."""
        return any(verifier.is_presented(facts.headers) for verifier in self.verifiers.values())

    def verified(self, asks: Asks, facts: Facts, attempt: Attempt) -> Verified | Rejection | LookUp:
        """Return the partner as the caller, or the first reason why the request proves none."""
        attempt.enter(Step.CREDENTIAL)
        assert asks.signed is not None and attempt.target is not None  # noqa: S101, PT018 - the policy and the route
        terms = asks.signed
        candidates = self._candidates(terms, facts)
        if isinstance(candidates, Rejection):
            return candidates
        attempt.credential_presented = True
        attempt.enter(Step.VERIFY)
        request = SignedRequest(
            facts=facts,
            target=attempt.target,
            terms=terms,
            may_be_unseen=attempt.found_route.limits.allow_unbuffered_empty,
            now_ms=attempt.now_ms,
        )
        signed = self.verifiers[candidates[0].form].verified(candidates, request)
        if isinstance(signed, Rejection):
            return signed
        if not _is_timely(signed, terms, attempt.now_ms):
            return Rejection(Reason.SIGNATURE_TIME_REFUSED)
        return _verified(signed, request, attempt)

    def _candidates(self, terms: SignedRequestTerms, facts: Facts) -> Sequence[Partner] | Rejection:
        """Return the partners that may have signed: all of one form."""
        brought = {form for form, each in self.verifiers.items() if each.is_presented(facts.headers)}
        if not brought:
            return Rejection(Reason.CREDENTIAL_MISSING)
        partners = self.partners()
        named = partners if terms.partners is None else sorted(terms.partners & partners.keys())
        candidates = [partners[name] for name in named if partners[name].form in brought]
        if not candidates:
            return Rejection(Reason.SIGNATURE_KEY_UNKNOWN)
        if len({partner.form for partner in candidates}) > 1:
            return Rejection(Reason.CREDENTIAL_DUPLICATED, detail="signed in two forms")
        return candidates


def _is_timely(signed: SignedBy, terms: SignedRequestTerms, now_ms: int) -> bool:
    if signed.until_ms is not None and now_ms > signed.until_ms:
        return False
    return signed.signed_at_ms - terms.ahead_ms <= now_ms <= signed.signed_at_ms + terms.window_ms


def _verified(signed: SignedBy, request: SignedRequest, attempt: Attempt) -> Verified | Rejection:
    event = event_named(request.terms.event, signed, request)
    if isinstance(event, Rejection):
        return event
    span = attempt.policy.signed_span
    token = _token(signed, request.terms, attempt.found_route.audience)
    attempt.saw(token)
    once = (*_sendings(signed, request, span), *_events(event, signed, request, span))
    return Verified(token=token, carriers=signed.carriers, once=once)


def _token(signed: SignedBy, terms: SignedRequestTerms, audience: str) -> VerifiedToken:
    """Return the partner as a caller; no token is spent, what may come once is beside it."""
    partner = signed.partner
    name = TokenId(issuer=f"partner:{partner.name}", jti=signed.name)
    ends_ms = signed.signed_at_ms + terms.window_ms
    return VerifiedToken(
        kind=TokenKind.SIGNED_REQUEST,
        id=name,
        digest=name.digest,
        subject=partner.client_id,
        client_id=partner.client_id,
        audience=audience,
        issued_at_ms=signed.signed_at_ms,
        expires_at_ms=ends_ms if signed.until_ms is None else min(ends_ms, signed.until_ms),
        not_before_ms=None,
        confirmation=Confirmation(),
        scope=partner.scopes,
        txn=None,
        auth_time_ms=None,
        restrictions=(),
    )


def _sendings(signed: SignedBy, request: SignedRequest, span: SignedSpan) -> Iterator[Once]:
    """Yield what this sending may not come again by: its nonce, or the message's own id."""
    partner = signed.partner
    if signed.names_event:
        yield _event(signed.name, "id", signed, request, span)
        return
    yield Once(
        kind=OnceKind.NONCE,
        key=hashlib.sha256(framed("nonce of a signed request", partner.name, partner.form, signed.name)).digest(),
        acceptable_from_ms=signed.signed_at_ms - span.ahead_ms,
        acceptable_until_ms=signed.signed_at_ms + span.window_ms,
    )


def _events(event: str | None, signed: SignedBy, request: SignedRequest, span: SignedSpan) -> Iterator[Once]:
    if event is not None and not (signed.names_event and event == signed.name):
        yield _event(event, "event", signed, request, span)


def _event(name: str, namespace: str, signed: SignedBy, request: SignedRequest, span: SignedSpan) -> Once:
    terms = request.terms.event or _OF_ITS_OWN
    return Once(
        kind=OnceKind.EVENT,
        key=hashlib.sha256(framed("event of a signed request", signed.partner.name, namespace, name)).digest(),
        acceptable_from_ms=signed.signed_at_ms - span.ahead_ms,
        # Not less than the signature itself is good: an event that is forgotten earlier could be replayed as it stands.
        acceptable_until_ms=max(request.now_ms + terms.kept_ms, signed.signed_at_ms + span.window_ms),
        repeat_status=terms.repeat_status,
    )


_OF_ITS_OWN: Final = EventTerms(kept_ms=DEFAULT_EVENT_KEPT_MS)
