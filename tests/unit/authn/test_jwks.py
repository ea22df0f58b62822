"""Key sets: what is weak, private, symmetric, doubled or not ours is refused, with every problem at once."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from ott_extauthz.authn.jwks import MAX_BYTES, KeySetError, keys_from
from ott_extauthz.authn.keys import Ed25519Key, P256Key, RsaKey
from tests.fakes.issuer import FakeIssuer

ED = json.loads(FakeIssuer().jwks())["keys"][0]


def _pem(key: Any) -> bytes:
    raw: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return raw


RSA: dict[str, Any] = RSAKey.import_key(_pem(rsa.generate_private_key(65537, 2048))).as_dict(private=False) | {
    "kid": "r"
}
EC: dict[str, Any] = ECKey.import_key(_pem(ec.generate_private_key(ec.SECP256R1()))).as_dict(private=False) | {
    "kid": "e"
}


def loaded(*keys: Any) -> dict[str, frozenset[str]]:
    return {kid: key.algorithms for kid, key in keys_from(json.dumps({"keys": list(keys)}).encode()).items()}


def problems(*keys: Any) -> str:
    with pytest.raises(KeySetError) as caught:
        loaded(*keys)
    return str(caught.value)


def test_each_key_is_held_to_its_own_algorithms() -> None:
    assert loaded(ED, RSA, EC) == {"k1": {"EdDSA", "Ed25519"}, "r": {"RS256", "PS256"}, "e": {"ES256"}}
    assert loaded(RSA | {"alg": "PS256"}) == {"r": {"PS256"}}


def test_keys_for_other_uses_are_passed_over() -> None:
    assert loaded(ED, RSA | {"use": "enc"}, EC | {"key_ops": ["sign"]}) == {"k1": {"EdDSA", "Ed25519"}}
    assert loaded(RSA | {"use": "enc"}, EC | {"key_ops": ["sign"]}, ED) == {"k1": {"EdDSA", "Ed25519"}}


def test_a_key_that_states_its_algorithm_stays_a_key_of_its_type() -> None:
    """An Ed25519 key that were taken for an RSA key would be asked with RSA's padding."""
    for entry, algorithm, kind in ((ED, "EdDSA", Ed25519Key), (EC, "ES256", P256Key), (RSA, "PS256", RsaKey)):
        [key] = keys_from(json.dumps({"keys": [entry | {"alg": algorithm}]}).encode()).values()
        assert type(key) is kind
        assert key.algorithms == ({algorithm, "Ed25519"} if kind is Ed25519Key else {algorithm})  # two names of one


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ([], "`keys` is not a list of 1 to 100 keys"),
        ([ED] * 101, "`keys` is not a list of 1 to 100 keys"),
        ([ED, ED], "keys[1]: two keys have the kid 'k1'"),
        ([ED | {"d": "AAAA"}], "symmetric or private"),
        ([ED, {"kty": "oct", "k": "AAAA", "kid": "h"}], "keys[1]: a symmetric or private key"),
        ([ED, {"kty": "oct", "kid": "h"}], "keys[1]: a symmetric or private key"),
        *(([ED | {member: "AAAA"}], "symmetric or private") for member in ("p", "q", "dp", "dq", "qi", "oth", "k")),
        ([ED | {"kid": ""}], "no `kid`"),
        ([{k: v for k, v in ED.items() if k != "kid"}], "no `kid`"),
        ([ED | {"alg": "ES256"}], "`alg` 'ES256' does not go with this key"),
        ([RSA | {"alg": "RS512"}], "`alg` 'RS512' does not go"),
        ([EC | {"crv": "P-384"}], "not one we verify with"),
        ([ED | {"crv": "X25519"}], "not one we verify with"),
        ([EC | {"y": ED["x"]}], "not a valid key"),
        ([RSA | {"n": "AQAB"}], "an RSA key of 17 bits"),
        ([RSA | {"n": 5}], "an RSA key of 0 bits"),
        ([ED | {"use": "enc"}], "no key of the set can verify"),
        (["text"], "keys[0]: not an object"),
        ([ED | {"x": "AAAA"}], "not a valid key"),
    ],
)
def test_what_must_not_be_trusted_is_refused(keys: list[Any], problem: str) -> None:
    assert problem in problems(*keys)


def test_every_problem_is_told_at_once() -> None:
    shown = problems({"kty": "oct", "kid": "a", "k": "c2VjcmV0"}, {"kty": "RSA", "kid": "b", "n": "AQAB", "e": "AQAB"})
    assert "keys[0]" in shown
    assert "keys[1]" in shown
    assert "c2VjcmV0" not in shown


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys":{}}', b"\xff", b'{"keys":[],"keys":[]}', b" " * (MAX_BYTES + 1)]
)
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(KeySetError):
        keys_from(document)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops", "d"]),
                inner | st.sampled_from(["RSA", "EC", "OKP", "Ed25519", "P-256", "sig", "AQAB"]),
                max_size=8,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_raises_anything_else(value: Any) -> None:
    with pytest.raises(KeySetError):
        keys_from(json.dumps({"keys": [value]}).encode())
