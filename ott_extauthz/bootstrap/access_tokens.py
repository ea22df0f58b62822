"""Whose tokens count, for which kinds, and in which words?  The entries of ``trust`` as the verifiers want them."""

from collections.abc import Iterable, Iterator, Mapping

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.foreign_claims import ForeignTerms
from ott_extauthz.authn.foreign_tokens import AccessTokens, ForeignTokenVerifier
from ott_extauthz.authn.keys import IssuersFor, TrustedIssuer
from ott_extauthz.policy.document.credential import TOKENS
from ott_extauthz.policy.routes import Asks, CredentialKind, Route
from ott_extauthz.sections.serving import ClockBounds
from ott_extauthz.sections.trusted_issuers import AccessTokens as AccessTokenSettings
from ott_extauthz.sections.trusted_issuers import Trust
from ott_extauthz.settings import Settings


def issuers_for(
    kind: CredentialKind, entries: Iterable[Trust] | None, trust: Mapping[str, TrustedIssuer]
) -> IssuersFor:
    """Return those of ``trust`` whose tokens of this kind count; it follows ``trust``."""
    return IssuersFor(trust, [entry.issuer for entry in entries or () if kind in entry.kinds])


def access_tokens(
    entries: Iterable[Trust] | None, trust: Mapping[str, TrustedIssuer], bounds: ClockBounds
) -> AccessTokens:
    """Return what judges access tokens of everybody in ``entries``."""
    counted = issuers_for(CredentialKind.ACCESS_TOKEN, entries, trust)
    terms = {entry.issuer: _terms(entry.access_tokens) for entry in entries or () if entry.access_tokens is not None}
    return AccessTokens(
        own=AccessTokenVerifier(trust=counted, iat_lead_ms=bounds.iat_lead, exp_leeway_ms=bounds.exp_leeway),
        foreign=ForeignTokenVerifier(
            trust=counted, terms=terms, iat_lead_ms=bounds.iat_lead, exp_leeway_ms=bounds.exp_leeway
        ),
    )


def issuer_lacks(route: Route, settings: Settings) -> Iterator[str]:
    """Yield what a route asks of issuers that no entry of ``trust`` or ``introspection`` could give."""
    trusted, asked = list(settings.trust or ()), {entry.issuer for entry in settings.introspection}
    for asks in route.parts:
        if asks.credential in TOKENS:
            yield from _lacks_of(asks, trusted, asked if asks.credential is CredentialKind.ACCESS_TOKEN else set())


def _lacks_of(asks: Asks, trusted: list[Trust], asked: set[str]) -> Iterator[str]:
    counted = [entry for entry in trusted if asks.credential in entry.kinds]
    for name in sorted((asks.issuers or frozenset()) - asked):
        if name not in {entry.issuer for entry in counted}:
            yield f"issuers: no entry of trust has {name!r} for {asks.credential}, read at the start only"
    if asks.issuers is None and len(counted) > 1 and any(entry.access_tokens for entry in counted):
        yield (
            "takes access tokens of several issuers, a foreign one among them, whose users and clients may have one "
            "name: say which ones in `issuers`"
        )


def _terms(settings: AccessTokenSettings) -> ForeignTerms:
    return ForeignTerms(
        is_plain=settings.plain,
        audiences={ours: frozenset(theirs) for ours, theirs in settings.audiences.items()},
        scope_claim=settings.scope,
        client_claim=settings.client_id,
        max_lifetime_ms=settings.max_lifetime,
    )
