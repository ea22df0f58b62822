"""Did this client sign this assertion, for us, now, and only once?  ``private_key_jwt`` (RFC 7523 §3, OIDC Core §9).

  1. the key: one of the client's own, and an algorithm that goes with it; never what the assertion brings along
  2. the signature
  3. the type: none, ``JWT`` or ``client-authentication+jwt``; a token of another kind is no assertion (RFC 8725 §3.11)
  4. the claims: ``iss`` and ``sub`` the client, ``aud`` this server alone, times near, ``jti`` there
  5. the first use of its ``jti``, in the used-list

What is wrong with an assertion is told only after its signature held: to its signer, and to nobody who guesses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ott_extauthz.authn.compact import UnverifiedToken
from ott_extauthz.authn.fault import ClaimsError, instant_ms
from ott_extauthz.authn.keys import VerificationKey
from ott_extauthz.issuer.attempt import Attempt
from ott_extauthz.issuer.client import Client, Method
from ott_extauthz.issuer.mutual_tls import in_force
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.once import FirstUse, Once
from ott_extauthz.issuer.request import Requester, TokenRequest

MAX_AHEAD_MS: Final = 300_000
"""An assertion ends at most this far ahead, whoever signed it: the fence's reasoning needs a bound, and so does what a
stolen one is worth."""

ALGORITHMS: Final = ("EdDSA", "Ed25519", "ES256", "PS256", "RS256")
"""What an assertion may be signed with (RFC 8414, ``token_endpoint_auth_signing_alg_values_supported``)."""

PURPOSE: Final = "client assertion"
_TYPES: Final = frozenset({"", "jwt", "client-authentication+jwt"})  # the last by draft-ietf-oauth-rfc7523bis
_MAX_JTI: Final = 512
_RETRY_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class _Times:
    """When an assertion was issued, at the earliest, and when it ends."""

    issued_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKeyJwt:
    """Judges assertions; ``audiences`` are the names of this server: its issuer URL, and its token endpoint's."""

    keys: Mapping[str, Mapping[str, VerificationKey]]
    audiences: frozenset[str]
    once: Once
    iat_lead_ms: int
    exp_leeway_ms: int

    async def prove(self, attempt: Attempt, client: Client | None, request: TokenRequest) -> Requester | OAuthError:
        """Return the client, if the assertion is its own and was never used."""
        assertion = attempt.assertion
        if client is None or assertion is None or client.authentication is not Method.PRIVATE_KEY_JWT:
            return attempt.refusal
        if not _is_signed(assertion, self.keys.get(client.client_id, {})):
            return attempt.refusal
        try:
            jti, times = self._judged(assertion, client.client_id, request.now_ms)
        except ClaimsError as error:
            return _refused(f"the assertion: {error}")
        found = await self.once.spend(
            PURPOSE,
            client.client_id,
            jti,
            issued_at_ms=times.issued_at_ms,
            expires_at_ms=times.expires_at_ms,
            now_ms=request.now_ms,
        )
        if found is not FirstUse.YES:
            return _REFUSALS[found]
        certificate = in_force(request)
        return Requester(client=client, certificate=certificate and certificate.nameless)

    def _judged(self, assertion: UnverifiedToken, client_id: str, now_ms: int) -> tuple[str, _Times]:
        claims = assertion.claims
        if assertion.header.type not in _TYPES:
            raise ClaimsError("typ is that of another kind of token")
        if claims.get("iss") != client_id or claims.get("sub") != client_id:
            raise ClaimsError("iss and sub are the client_id")
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        # Several audiences, and each could play the assertion to the others: draft-ietf-oauth-rfc7523bis §4.
        if len(named) != 1 or not isinstance(named[0], str) or named[0] not in self.audiences:
            raise ClaimsError("aud is this server's issuer URL, and nothing beside it")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI:
            raise ClaimsError(f"jti is required, 1 to {_MAX_JTI} characters")
        return jti, self._times(assertion, now_ms)

    def _times(self, assertion: UnverifiedToken, now_ms: int) -> _Times:
        """Judge the times.

        Each of ``iat``, ``nbf`` and ``exp`` - MAX_AHEAD lies at most ``iat_lead`` after now, or the assertion is
        refused: so the latest of them says from when on the used-list must have been whole, whatever is left out.
        """
        expires_at_ms = _instant(assertion, "exp")
        earliest = [expires_at_ms - MAX_AHEAD_MS]
        earliest += [_instant(assertion, name) for name in ("iat", "nbf") if name in assertion.claims]
        if now_ms >= expires_at_ms + self.exp_leeway_ms:
            raise ClaimsError("exp is past")
        if expires_at_ms - MAX_AHEAD_MS > now_ms + self.iat_lead_ms:
            raise ClaimsError(f"exp is at most {MAX_AHEAD_MS // 1000} seconds ahead")
        if max(earliest) > now_ms + self.iat_lead_ms:
            raise ClaimsError("iat or nbf lies ahead")
        return _Times(max(earliest), expires_at_ms)


def _instant(assertion: UnverifiedToken, name: str) -> int:
    try:
        return instant_ms(assertion.claims, name)
    except ClaimsError:
        raise ClaimsError(f"{name} is missing, or no NumericDate") from None


def _is_signed(assertion: UnverifiedToken, keys: Mapping[str, VerificationKey]) -> bool:
    """Whether a key of the client made the signature; without a ``kid`` there must be only one that could have."""
    algorithm, kid = assertion.header.algorithm, assertion.header.kid
    if algorithm not in ALGORITHMS:
        return False
    named = [keys[kid]] if kid in keys else [] if kid else list(keys.values())
    fitting = [key for key in named if algorithm in key.algorithms]
    return len(fitting) == 1 and fitting[0].verifies(algorithm, assertion.signing_input, assertion.signature)


def _refused(description: str) -> OAuthError:
    return OAuthError(OAuthErrorCode.INVALID_CLIENT, f"client authentication failed: {description}", 401)


_REFUSALS: Final = {
    FirstUse.USED_BEFORE: _refused("the assertion was used before; sign a new one for each request"),
    FirstUse.CANNOT_TELL: _refused(
        "whether the assertion was used before cannot be told after a start or a fault of the store; sign a new one, "
        "with iat"
    ),
    FirstUse.TOO_LATE: _refused("the assertion: exp is past"),
    FirstUse.UNAVAILABLE: OAuthError(
        OAuthErrorCode.TEMPORARILY_UNAVAILABLE,
        "whether the assertion was used before cannot be asked now; try again with a new one",
        503,
        retry_after_ms=_RETRY_MS,
    ),
}
