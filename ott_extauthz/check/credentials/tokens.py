"""Is there a token, does it hold, and is it this caller's?  One-time tokens, mandates and access tokens alike."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from ott_extauthz.authn.extract import PresentedCredential, is_presented_in, presented_in
from ott_extauthz.authn.sealed import Unseal, unsealed_without_keys
from ott_extauthz.authn.signed_claims import KeyAwaited, SignatureCheck, signature_fault
from ott_extauthz.authn.verified_payload import USUAL_PLACE, EnvoysWord
from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.credentials.credential import LookUp, Verified
from ott_extauthz.check.credentials.possession import Possession
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.step import Step
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.routes import Asks, VerifiedBy

_KEY_SET: Final = b"key set of "
"""How the wait for an issuer's key set is named in :attr:`Attempt.answers`."""

Believed = VerifiedToken | Rejection | LookUp


class Verify(Protocol):
    """Believes a token's text, or does not."""

    def __call__(
        self, text: str, *, audience: str, now_ms: int, signature: SignatureCheck = signature_fault
    ) -> VerifiedToken | Rejection:
        """Return the token, or the first reason not to believe it; ``signature`` says whether it is signed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCredential:
    """A token in a header."""

    verify: Verify
    unseal: Unseal = unsealed_without_keys
    possession: Possession = field(default_factory=Possession)
    envoys_word: EnvoysWord = USUAL_PLACE

    def is_presented(self, asks: Asks, facts: Facts) -> bool:
        """Whether the header is there, under the scheme that is asked for."""
        return is_presented_in(facts.headers, header=asks.header, scheme=asks.scheme)

    def verified(self, asks: Asks, facts: Facts, attempt: Attempt) -> Verified | Rejection | LookUp:
        """Return the token: found, believed and bound."""
        attempt.enter(Step.CREDENTIAL)
        presented = self.presented(asks, facts, attempt)
        if isinstance(presented, Rejection):
            return presented
        attempt.credential_presented = True
        attempt.enter(Step.VERIFY)
        token = _of_the_issuers(self.believed(presented.text, asks, facts, attempt), asks, attempt)
        if not isinstance(token, VerifiedToken):
            return token
        attempt.saw(token)
        attempt.enter(Step.BIND)
        shown = self.possession.shown(token, presented.text, asks=asks, facts=facts, now_ms=attempt.now_ms)
        if isinstance(shown, Rejection):
            return shown
        return Verified(
            token=token,
            carriers=(presented.header, *shown.carriers),
            headers_to_set=presented.headers_to_set,
            response_headers=shown.response_headers,
            once=shown.once,
        )

    def presented(self, asks: Asks, facts: Facts, attempt: Attempt) -> PresentedCredential | Rejection:
        """Return the token as it came; ``attempt`` knows what else the route asks for."""
        del attempt
        return presented_in(facts.headers, header=asks.header, scheme=asks.scheme)

    def believed(self, sealed: str, asks: Asks, facts: Facts, attempt: Attempt) -> Believed:
        """Return the token, opened where it is sealed; ``asks`` says who looks at its signature."""
        text = self.unseal(sealed, attempt.found_route.encrypted)
        return text if isinstance(text, Rejection) else self.opened(text, asks, facts, attempt)

    def opened(self, text: str, asks: Asks, facts: Facts, attempt: Attempt) -> Believed:
        """Return the token, whose text this is."""
        signature: SignatureCheck = signature_fault
        if asks.verified_by is VerifiedBy.ENVOY:
            signature = self.envoys_word.on(facts.metadata, asks.issuers)
        return self.verify(text, audience=attempt.found_route.audience, now_ms=attempt.now_ms, signature=signature)


def _of_the_issuers(found: Believed, asks: Asks, attempt: Attempt) -> Believed:
    """Hold what was found to the issuers that are asked for; a key that is on its way is waited for, once."""
    if isinstance(found, VerifiedToken):
        is_asked_for = asks.issuers is None or found.id.issuer in asks.issuers
        return found if is_asked_for else Rejection(Reason.TOKEN_ISSUER_UNKNOWN)
    if not isinstance(found, KeyAwaited):
        return found
    if asks.issuers is not None and found.issuer not in asks.issuers:
        return Rejection(Reason.TOKEN_ISSUER_UNKNOWN)
    key = _KEY_SET + found.issuer.encode()
    return found if key in attempt.answers else LookUp(key=key, ask=found.arrival, unasked=Rejection(found.reason))
