import hashlib
import hmac
import json

import pytest

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.drills import forging
from ott_extauthz.drills.forging import Forge, Parts

SIGNER = forging.stranger("kid-1")


class _At:
    def now_ms(self) -> int:
        return 1_000_000_500

    def monotonic(self) -> float:
        return 0.0


FORGE = Forge(clock=_At(), x5t_s256="thumb")


def _json(part: str) -> dict[str, object]:
    raw = decoded(part)
    assert raw is not None
    found: dict[str, object] = json.loads(raw)
    return found


async def test_a_forged_token_has_the_age_and_life_asked_for_and_a_name_of_its_own() -> None:
    first, second = [Parts.of(await FORGE.token(SIGNER, age=40, life=30)) for _ in range(2)]
    claims = _json(first.payload)
    assert (claims["iat"], claims["exp"]) == (999_960.5, 999_990.5)
    assert claims["cnf"] == {"x5t#S256": "thumb"}
    assert claims["jti"] != _json(second.payload)["jti"]
    assert _json(first.header) == {"alg": "EdDSA", "kid": "kid-1", "typ": "ott+jwt"}


async def test_changed_claims_keep_header_and_signature() -> None:
    token = await FORGE.token(SIGNER)
    before, after = Parts.of(token), Parts.of(forging.with_claims(token, scope="all"))
    assert (before.header, before.signature) == (after.header, after.signature)
    assert _json(after.payload) == _json(before.payload) | {"scope": "all"}


async def test_algorithm_confusion_verifies_with_the_public_key_as_secret() -> None:
    """Or the drill would show nothing: a verifier that falls for it must see a good signature."""
    parts = Parts.of(forging.under_shared_secret(await FORGE.token(SIGNER), b"public"))
    assert _json(parts.header)["alg"] == "HS256"
    message = f"{parts.header}.{parts.payload}".encode()
    assert parts.signature == encoded(hmac.new(b"public", message, hashlib.sha256).digest())


async def test_an_unprotected_token_says_none_and_still_has_three_parts() -> None:
    parts = Parts.of(forging.unprotected(await FORGE.token(SIGNER)))
    assert _json(parts.header)["alg"] == "none"
    assert parts.signature


def test_what_is_no_token_is_not_changed() -> None:
    with pytest.raises(ValueError, match="no part"):
        forging.with_claims("a.!.c")


def test_signatures_and_secrets_are_not_shown() -> None:
    assert "sig" not in repr(Parts("h", "p", "sig-nature"))
    assert "secret" not in repr(SIGNER)
