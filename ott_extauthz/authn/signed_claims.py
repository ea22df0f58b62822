"""Did this issuer sign these claims?  Steps 3 and 4 of :mod:`signed_token`, for tokens of any kind."""

from collections.abc import Callable

from ott_extauthz.authn.compact import UnverifiedToken
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.model.reason import Reason

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
