"""Did this issuer sign these claims?  Steps 3 and 4 of :mod:`signed_token`, for tokens of any kind."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ott_extauthz.authn.compact import UnverifiedToken
from ott_extauthz.authn.followed_keys import Arrival, FollowedKeys
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAwaited(Rejection):
    """The token's key is not there, and a key set that may have it is on its way: ``arrival`` waits for that."""

    issuer: str
    arrival: Arrival = field(repr=False)


SignatureCheck = Callable[[UnverifiedToken, TrustedIssuer], Reason | None]
"""Says why an issuer, one that is trusted, did not sign a token; None where it did."""


def signature_fault(token: UnverifiedToken, trusted: TrustedIssuer) -> Reason | None:
    """Return why the issuer has not signed the token, by an algorithm allowed for it and for its key."""
    algorithm = token.header.algorithm
    if algorithm not in trusted.algorithms:
        return Reason.TOKEN_ALGORITHM_REFUSED
    key = trusted.keys.get(token.header.kid)
    if key is None:
        # No key at all is our own lack, of a set that is fetched: a new token would not help the caller.
        return Reason.TOKEN_KEY_UNKNOWN if trusted.keys else Reason.KEY_SET_UNAVAILABLE
    if algorithm not in key.algorithms:
        return Reason.TOKEN_ALGORITHM_REFUSED
    return None if key.verifies(algorithm, token.signing_input, token.signature) else Reason.TOKEN_SIGNATURE_INVALID


def signature_rejection(
    token: UnverifiedToken, trusted: TrustedIssuer | None, check: SignatureCheck = signature_fault
) -> Rejection | None:
    """Return why nobody trusted has signed the token, and how to wait for its key where that is worth it."""
    if trusted is None:
        return Rejection(Reason.TOKEN_ISSUER_UNKNOWN)
    return rejection_of(check(token, trusted), trusted)


def rejection_of(fault: Reason | None, trusted: TrustedIssuer) -> Rejection | None:
    """Return a fault as the refusal that it is, with how to wait for a key that is not there."""
    if fault is Reason.TOKEN_KEY_UNKNOWN and isinstance(trusted.keys, FollowedKeys):
        arrival = trusted.keys.arrival()
        if arrival is not None:
            return KeyAwaited(fault, issuer=trusted.issuer, arrival=arrival)
    return None if fault is None else Rejection(fault)
