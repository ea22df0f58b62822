"""Is there a token, does it hold, and is it this caller's?  One-time tokens, mandates and access tokens alike."""

from dataclasses import dataclass, field
from typing import Protocol

from ott_extauthz.authn.binding import binding_fault
from ott_extauthz.authn.extract import presented_in
from ott_extauthz.authn.sealed import Unseal, unsealed_without_keys
from ott_extauthz.check.attempt import Attempt, Step
from ott_extauthz.check.credentials.credential import LookUp, Verified
from ott_extauthz.check.credentials.possession import Possession
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.routes import Asks, BoundTo


class Verify(Protocol):
    """Believes a token's text, or does not."""

    def __call__(self, text: str, *, audience: str, now_ms: int) -> VerifiedToken | Rejection:
        """Return the token, or the first reason not to believe it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCredential:
    """A token in a header."""

    verify: Verify
    unseal: Unseal = unsealed_without_keys
    possession: Possession = field(default_factory=Possession)

    def is_presented(self, asks: Asks, facts: Facts) -> bool:
        """Whether the header is there, under the scheme that is asked for."""
        values = facts.headers.get(asks.header, ())
        return any(asks.scheme is None or _scheme(value) == asks.scheme.lower() for value in values)

    def verified(self, asks: Asks, facts: Facts, attempt: Attempt) -> Verified | Rejection | LookUp:
        """Return the token: found, believed and bound."""
        attempt.step = Step.CREDENTIAL
        presented = presented_in(facts.headers, header=asks.header, scheme=asks.scheme)
        if isinstance(presented, Rejection):
            return presented
        attempt.credential_presented = True
        attempt.step = Step.VERIFY
        token = self._believed(presented.text, attempt)
        if isinstance(token, Rejection):
            return token
        attempt.saw(token)
        attempt.step = Step.BIND
        fault = binding_fault(
            token,
            facts.peer,
            needs_certificate=BoundTo.CERTIFICATE in asks.bound_to,
            needs_workload=BoundTo.WORKLOAD in asks.bound_to,
        )
        if fault is not None:
            return Rejection(fault)
        shown = self.possession.shown(token, presented.text, asks=asks, facts=facts, now_ms=attempt.now_ms)
        if isinstance(shown, Rejection):
            return shown
        return Verified(
            token=token,
            carriers=(presented.header, *shown.carriers),
            response_headers=shown.response_headers,
            once=shown.once,
        )

    def _believed(self, sealed: str, attempt: Attempt) -> VerifiedToken | Rejection:
        route = attempt.found_route
        text = self.unseal(sealed, route.encrypted)
        if isinstance(text, Rejection):
            return text
        return self.verify(text, audience=route.audience, now_ms=attempt.now_ms)


def _scheme(value: str) -> str:
    return value.partition(" ")[0].lower()
