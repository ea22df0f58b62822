"""Which of the credentials that a route asks for must hold, and who is the caller?

- one      it must hold
- all_of   each must hold; the first names the caller, and the others must be of the same client, and not the same token
- any_of   exactly one is brought, and it must hold: a request with two is refused, or one that is stolen would do
           where the other fails.  A certificate, which comes with every request, counts where nothing else does
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.credentials.credential import Credential, LookUp, Verified
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.step import Step
from ott_extauthz.policy.routes import Asks, CredentialKind, Route

_NAMELESS: Final = frozenset({CredentialKind.CERTIFICATE})
"""Credentials whose ``client_id`` is a name of the mesh, not one that an issuer or an operator gave."""

Proven = tuple[Verified, ...]
"""What was verified, the caller first."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Every kind of credential that this server can judge."""

    of: Mapping[CredentialKind, Credential]

    def proven(self, route: Route, facts: Facts, attempt: Attempt) -> Proven | Rejection | LookUp:
        """Return what the request proves, or the first reason why that is not enough."""
        attempt.enter(Step.CREDENTIAL)
        if route.credential is CredentialKind.ALL_OF:
            return self._all(route.parts, facts, attempt)
        asks = self._brought(route.parts, facts) if route.credential is CredentialKind.ANY_OF else route.asks
        if isinstance(asks, Rejection):
            return asks
        verified = self._one(asks, facts, attempt)
        return (verified,) if isinstance(verified, Verified) else verified

    def _one(self, asks: Asks, facts: Facts, attempt: Attempt) -> Verified | Rejection | LookUp:
        attempt.asks = asks
        return self.of[asks.credential].verified(asks, facts, attempt)

    def _all(self, parts: tuple[Asks, ...], facts: Facts, attempt: Attempt) -> Proven | Rejection | LookUp:
        proven: list[Verified] = []
        for asks in parts:
            verified = self._one(asks, facts, attempt)
            if not isinstance(verified, Verified):
                return verified
            proven.append(verified)
        if len({each.token.digest for each in proven}) < len(proven):
            return Rejection(Reason.CREDENTIAL_DUPLICATED, detail="all_of: one token in two places")
        named = {
            each.token.client_id for asks, each in zip(parts, proven, strict=True) if asks.credential not in _NAMELESS
        }
        return tuple(proven) if len(named) <= 1 else Rejection(Reason.CREDENTIALS_DISAGREE)

    def _brought(self, parts: tuple[Asks, ...], facts: Facts) -> Asks | Rejection:
        always = [asks for asks in parts if asks.credential is CredentialKind.CERTIFICATE]
        brought = [
            asks
            for asks in parts
            if asks.credential is not CredentialKind.CERTIFICATE and self.of[asks.credential].is_presented(asks, facts)
        ]
        if len(brought) > 1:
            return Rejection(Reason.CREDENTIAL_DUPLICATED, detail="any_of")
        found = brought or always
        return found[0] if found else Rejection(Reason.CREDENTIAL_MISSING)
