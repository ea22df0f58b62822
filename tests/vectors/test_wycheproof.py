"""Every Wycheproof case behaves as marked; what does not apply is listed here with its reason, and nowhere else."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from nacl.signing import VerifyKey

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.compact import _header_from, unverified_from
from ott_extauthz.authn.jwks import KeySetError, keys_from
from ott_extauthz.authn.keys import Ed25519Key, P256Key, VerificationKey
from ott_extauthz.authn.partners import SharedSecret
from ott_extauthz.model.reason import Reason
from tests.vectors.wycheproof import groups

PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi")

# Valid signatures that we refuse on purpose.  An algorithm outside EdDSA, ES256, RS256, PS256 is on no allow-list:
NOT_OURS: Final = {"HS256", "HS384", "HS512", "RS384", "RS512", "PS384", "PS512", "ES512"}
# and one case counts a character outside base64url as ignorable (RFC 2045); RFC 7515 §2 has no such rule:
LENIENT_BASE64: Final = {("json_web_signature_test.json", 372)}


def _keys(group: dict[str, Any]) -> Mapping[str, VerificationKey]:
    jwk = group.get("public") or group["private"]
    entries = [{k: v for k, v in entry.items() if k not in PRIVATE} for entry in jwk.get("keys", [jwk])]
    for entry in entries:
        entry.setdefault("kid", "unnamed")
    try:
        return keys_from(json.dumps({"keys": entries}).encode())
    except KeySetError:
        return {}


def _is_accepted(jws: str, keys: Mapping[str, VerificationKey]) -> bool:
    """The verifier's own steps; the payloads are no JSON, so the claims are left out."""
    parts = jws.split(".")
    header = _header_from(parts[0]) if len(parts) == 3 else Reason.TOKEN_MALFORMED
    if isinstance(header, Reason) or decoded(parts[1]) is None:
        return False
    key, signature = keys.get(header.kid or "unnamed"), decoded(parts[2])
    if key is None or signature is None or header.algorithm not in key.algorithms:
        return False
    return key.verifies(header.algorithm, f"{parts[0]}.{parts[1]}".encode(), signature)


def _algorithm(jws: str) -> str:
    raw = decoded(jws.partition(".")[0])
    return "" if raw is None else str(json.loads(raw)["alg"])


@pytest.mark.parametrize("name", ["json_web_signature_test.json", "json_web_key_test.json"])
def test_every_signature_is_judged_as_marked(name: str) -> None:
    accepted = 0
    for group in groups(name):
        keys = _keys(group)
        for case in group["tests"]:
            is_accepted = isinstance(case["jws"], str) and _is_accepted(case["jws"], keys)
            accepted += is_accepted
            expected = case["result"] == "valid"
            if expected and (_algorithm(case["jws"]) in NOT_OURS or (name, case["tcId"]) in LENIENT_BASE64):
                expected = False
            assert is_accepted == expected, (case["tcId"], group["comment"], case["comment"])
    assert accepted > 0


def test_no_vector_is_a_one_time_token() -> None:
    for group in groups("json_web_signature_test.json"):
        for case in group["tests"]:
            parsed = unverified_from(str(case["jws"]))
            assert isinstance(parsed, Reason) or parsed.header.type != "ott+jwt"


def test_ed25519_signatures_are_judged_as_marked() -> None:
    for group in groups("ed25519_test.json"):
        key = Ed25519Key(VerifyKey(bytes.fromhex(group["publicKey"]["pk"])))
        for case in group["tests"]:
            is_accepted = key.verifies("EdDSA", bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert is_accepted == (case["result"] == "valid"), case


def test_p256_signatures_in_jose_form_are_judged_as_marked() -> None:
    for group in groups("ecdsa_secp256r1_sha256_p1363_test.json"):
        public = load_der_public_key(bytes.fromhex(group["publicKeyDer"]))
        assert isinstance(public, ec.EllipticCurvePublicKey)
        for case in group["tests"]:
            is_accepted = P256Key(public).verifies("ES256", bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert is_accepted == (case["result"] == "valid"), case


def test_macs_are_judged_as_marked() -> None:
    """A tag that is cut off (to 128 bits) is none: X-Signature and v1 carry the whole of it."""
    accepted = 0
    for group in groups("hmac_sha256_test.json"):
        for case in group["tests"]:
            key = SharedSecret(secret=bytes.fromhex(case["key"]))
            is_accepted = key.verifies(bytes.fromhex(case["msg"]), bytes.fromhex(case["tag"]))
            accepted += is_accepted
            assert is_accepted == (case["result"] == "valid" and group["tagSize"] == 256), case
    assert accepted > 0
