"""ES256, RS256 and PS256 end to end through the verifier, judged the same by PyJWT and joserfc."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from tests.fakes.issuer import AUDIENCE, ISSUER, NOW_MS, FakeIssuer

# RFC 9864 has another name for EdDSA; our tokens keep the one that every library knows.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
PRIVATE: dict[str, Any] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}
PRIVATE["PS256"] = PRIVATE["RS256"]
IMPORT: dict[str, Any] = {"EdDSA": OKPKey, "ES256": ECKey, "RS256": RSAKey, "PS256": RSAKey}
CLAIMS = FakeIssuer().claims()


def jwk(algorithm: str) -> dict[str, Any]:
    pem = PRIVATE[algorithm].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public: dict[str, Any] = IMPORT[algorithm].import_key(pem).as_dict(private=False)
    return public | {"kid": algorithm, "use": "sig", "alg": algorithm}


JWKS = {"keys": [jwk(algorithm) for algorithm in PRIVATE]}
TRUST = {ISSUER: TrustedIssuer(ISSUER, frozenset(PRIVATE), keys_from(json.dumps(JWKS).encode()))}
VERIFIER = OneTimeTokenVerifier(trust=TRUST, iat_lead_ms=500, exp_leeway_ms=2000)


def signed(algorithm: str, kid: str | None = None) -> str:
    header = {"typ": "ott+jwt", "kid": kid or algorithm}
    return jwt.encode(CLAIMS, PRIVATE[algorithm], algorithm=algorithm, headers=header)


def ours(token: str) -> bool:
    return not isinstance(VERIFIER.verify(token, audience=AUDIENCE, now_ms=NOW_MS), Rejection)


def pyjwt_says(token: str) -> bool:
    try:
        header = jwt.get_unverified_header(token)
        key = next(entry for entry in JWKS["keys"] if entry["kid"] == header.get("kid"))
        jwt.decode(
            token,
            jwt.PyJWK(key).key,
            algorithms=[key["alg"]],
            options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
        )
    except (jwt.PyJWTError, StopIteration, ValueError):
        return False
    return True


def joserfc_says(token: str) -> bool:
    try:
        found = jws.deserialize_compact(token, KeySet.import_key_set(JWKS), algorithms=list(PRIVATE))  # type: ignore[arg-type]
        json.loads(found.payload)
    except (JoseError, ValueError, KeyError):
        return False
    return True


@pytest.mark.parametrize("algorithm", list(PRIVATE))
def test_a_foreign_signature_verifies(algorithm: str) -> None:
    token = signed(algorithm)
    assert ours(token)
    assert pyjwt_says(token)
    assert joserfc_says(token)


@pytest.mark.parametrize(
    ("algorithm", "kid"), [("RS256", "PS256"), ("PS256", "RS256"), ("ES256", "EdDSA"), ("EdDSA", "ES256")]
)
def test_a_key_is_used_with_its_own_algorithm_only(algorithm: str, kid: str) -> None:
    result = VERIFIER.verify(signed(algorithm, kid), audience=AUDIENCE, now_ms=NOW_MS)
    assert result == Rejection(Reason.TOKEN_ALGORITHM_REFUSED)


@pytest.mark.parametrize("algorithm", list(PRIVATE))
def test_a_key_verifies_nothing_under_an_algorithm_it_is_not_for(algorithm: str) -> None:
    """The verifier asks a key's algorithms first; a key that is asked all the same still says no."""
    key = TRUST[ISSUER].keys[algorithm]
    assert not any(key.verifies(other, b"message", b"x" * 64) for other in ("none", "HS256", "", "RS512"))


def test_the_public_key_is_no_hmac_secret() -> None:
    """Algorithm confusion: HS256 keyed with the published JWK."""
    for secret in (jwk("RS256")["n"], jwk("EdDSA")["x"]):
        token = jwt.encode(CLAIMS, secret.ljust(64), algorithm="HS256", headers={"typ": "ott+jwt", "kid": "RS256"})
        result = VERIFIER.verify(token, audience=AUDIENCE, now_ms=NOW_MS)
        assert result == Rejection(Reason.TOKEN_ALGORITHM_REFUSED)


def test_an_issuer_may_not_use_what_its_list_leaves_out() -> None:
    trust = {ISSUER: TrustedIssuer(ISSUER, frozenset({"EdDSA"}), TRUST[ISSUER].keys)}
    verifier = OneTimeTokenVerifier(trust=trust, iat_lead_ms=500, exp_leeway_ms=2000)
    result = verifier.verify(signed("ES256"), audience=AUDIENCE, now_ms=NOW_MS)
    assert result == Rejection(Reason.TOKEN_ALGORITHM_REFUSED)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(st.sampled_from(list(PRIVATE)), st.data())
def test_what_we_accept_the_foreign_libraries_accept(algorithm: str, data: st.DataObject) -> None:
    """Mutated tokens: wherever we say yes, PyJWT and joserfc say yes too; we may be stricter, never laxer."""
    token = signed(algorithm)
    index = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.sampled_from("ABCabc019-_.=+/ \n"))
    mutated = data.draw(
        st.sampled_from([token, token[:index] + character + token[index + 1 :], token[:index], token + character])
    )
    if ours(mutated):
        assert pyjwt_says(mutated)
        assert joserfc_says(mutated)
    if mutated == token:
        assert ours(mutated)
