"""A proof shows its key for this very request, or it is refused: RFC 9449 §4.3 step by step, as an attacker tries."""

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.dpop import DPOP_ALGORITHMS, DpopProof, DpopVerifier, ProofFault
from ott_extauthz.authn.nonces import Nonces
from tests.fakes.proofs import TARGET, Prover

NOW_MS = 1_795_000_000_123
TOKEN = "eyJ.ott.x"
ATH = encoded(hashlib.sha256(TOKEN.encode()).digest())
PROVER = Prover()
RSA = Prover("RS256")
NONCES = Nonces(secret=b"\1" * 32, slot_ms=60_000)


def judged(*values: str, **how: Any) -> DpopProof | ProofFault:
    verifier = how.pop("verifier", DpopVerifier())
    given_ = {"method": "POST", "target": TARGET, "now_ms": NOW_MS} | how
    found: DpopProof | ProofFault = verifier.verify(values, **given_)
    return found


@pytest.mark.parametrize("algorithm", DPOP_ALGORITHMS)
def test_a_proof_of_each_algorithm_shows_its_key(algorithm: str) -> None:
    prover = Prover(algorithm)
    proof = judged(prover.proof(NOW_MS, jti="j-1"))
    assert isinstance(proof, DpopProof)
    assert (proof.jkt, proof.jti, proof.nonce) == (prover.jkt, "j-1", None)
    assert proof.issued_at_ms == NOW_MS // 1000 * 1000
    assert proof.acceptable_until_ms == proof.issued_at_ms + 60_000


def test_no_header_two_headers_and_two_in_one() -> None:
    proof = PROVER.proof(NOW_MS)
    for values in ((), (proof, proof), (f"{proof},{proof}",), (f"{proof}, {proof}",)):
        assert judged(*values) is ProofFault.MALFORMED


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "a.b",
        "..",
        PROVER.proof(NOW_MS) + ".x",
        PROVER.proof(NOW_MS) + "=",
        " " + PROVER.proof(NOW_MS),
        PROVER.proof(NOW_MS, x="y" * 9000),
        PROVER.signed(b"[]"),
        PROVER.signed(b'{"jti":"a","jti":"b"}'),
        PROVER.signed(b"\xff"),
        PROVER.proof(NOW_MS, header={"b64": False, "crit": ["b64"]}),
        "ä" + PROVER.proof(NOW_MS),
    ],
)
def test_what_is_no_strict_compact_jws(proof: str) -> None:
    assert judged(proof) is ProofFault.MALFORMED


@pytest.mark.parametrize("typ", [None, "JWT", "ott+jwt", "at+jwt", "dpop", "dpop+jwt ", 7])
def test_another_kind_of_jwt_is_no_proof(typ: Any) -> None:
    assert judged(PROVER.proof(NOW_MS, header={"typ": typ})) is ProofFault.TYPE


def test_typ_is_a_media_type() -> None:
    assert isinstance(judged(PROVER.proof(NOW_MS, header={"typ": "application/DPoP+JWT"})), DpopProof)


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "RS512", "es256", "", 7, None])
def test_an_algorithm_that_is_not_listed(alg: Any) -> None:
    assert judged(resealed(PROVER.proof(NOW_MS), alg=alg)) is ProofFault.ALGORITHM


def test_an_algorithm_that_the_verifier_does_not_take() -> None:
    only = DpopVerifier(algorithms=frozenset({"EdDSA"}))
    assert judged(PROVER.proof(NOW_MS), verifier=only) is ProofFault.ALGORITHM


def test_none_with_an_empty_signature() -> None:
    head, payload, _ = resealed(PROVER.proof(NOW_MS), alg="none").split(".")
    assert judged(f"{head}.{payload}.") is ProofFault.MALFORMED


def resealed(proof: str, **header: Any) -> str:
    """Change the header under a signature that was made for another."""
    head, rest = proof.split(".", 1)
    members = json.loads(base64.urlsafe_b64decode(head + "==")) | header
    kept = {name: value for name, value in members.items() if value is not None}
    return f"{encoded(json.dumps(kept).encode())}.{rest}"


PRIVATE = PROVER.key.as_dict(private=True)
ROOM = {"kty": "oct", "k": encoded(b"\1" * 32)}


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        {},
        [],
        "x",
        PRIVATE,
        PROVER.public | {"d": "AA"},
        PROVER.public | {"k": "AA"},
        ROOM,
        PROVER.public | {"kty": "RSA"},
        PROVER.public | {"kty": ["EC"]},
        PROVER.public | {"crv": "P-384"},
        PROVER.public | {"x": PROVER.public["x"] + "="},
        PROVER.public | {"x": encoded(b"\0" * 33)},
        PROVER.public | {"y": PROVER.public["x"]},
        PROVER.public | {"use": "enc"},
        PROVER.public | {"key_ops": ["sign"]},
        Prover("EdDSA").public,
        RSA.public,
        RSA.public | {"n": RSA.public["n"][:300]},
    ],
)
def test_a_key_that_is_not_public_sound_and_for_the_algorithm(jwk: Any) -> None:
    assert judged(PROVER.proof(NOW_MS, header={"jwk": jwk})) is ProofFault.KEY


@pytest.mark.parametrize(
    "change",
    [
        {"e": encoded(b"\0\1\0\1")},
        {"n": encoded(b"\0" + base64.urlsafe_b64decode(RSA.public["n"] + "=="))},
        {"e": encoded(b"\1" * 9)},
        {"d": "AQAB"},
    ],
)
def test_a_second_spelling_of_an_rsa_key_would_be_a_second_thumbprint(change: dict[str, str]) -> None:
    assert judged(RSA.proof(NOW_MS, header={"jwk": RSA.public | change})) is ProofFault.KEY


def test_members_beside_the_key_are_no_part_of_its_thumbprint() -> None:
    for prover in (PROVER, RSA):
        jwk = prover.public | {"kid": "mine", "use": "sig", "alg": prover.algorithm}
        proof = judged(prover.proof(NOW_MS, header={"jwk": jwk | ({"crv": "x"} if prover is RSA else {})}))
        assert isinstance(proof, DpopProof)
        assert proof.jkt == prover.jkt


def test_a_key_that_did_not_sign() -> None:
    assert judged(PROVER.proof(NOW_MS, header={"jwk": Prover().public})) is ProofFault.SIGNATURE


@pytest.mark.parametrize("htm", [None, "GET", "post", "POST ", "", 7])
def test_another_method(htm: Any) -> None:
    assert judged(PROVER.proof(NOW_MS, htm=htm)) is ProofFault.METHOD


@pytest.mark.parametrize(
    "htu",
    [
        None,
        7,
        "",
        "/token",
        "https://issuer.bank.example/introspect",
        "https://issuer.bank.example/token/",
        "http://issuer.bank.example/token",
        "https://issuer.bank.example:8443/token",
        "https://evil.example/token",
        "https://issuer.bank.example@evil.example/token",
        "https://issuer.bank.example/Token",
    ],
)
def test_another_target(htu: Any) -> None:
    assert judged(PROVER.proof(NOW_MS, htu=htu)) is ProofFault.TARGET


@pytest.mark.parametrize(
    "htu", ["HTTPS://ISSUER.bank.example:443/%74oken?x=1#f", "https://issuer.bank.example/a/../token"]
)
def test_the_same_target_in_another_spelling(htu: str) -> None:
    assert isinstance(judged(PROVER.proof(NOW_MS, htu=htu)), DpopProof)
    assert isinstance(judged(PROVER.proof(NOW_MS), target=htu), DpopProof)


def test_a_target_of_ours_that_is_none_matches_nothing() -> None:
    assert judged(PROVER.proof(NOW_MS, htu="nonsense"), target="nonsense") is ProofFault.TARGET


@pytest.mark.parametrize(
    ("iat_ms", "is_good"), [(-60_000, True), (-60_001, False), (5_000, True), (5_001, False), (0, True)]
)
def test_the_window_of_iat(iat_ms: int, is_good: bool) -> None:  # noqa: FBT001
    now_ms = 1_795_000_000_000
    found = judged(PROVER.proof(now_ms, iat=(now_ms + iat_ms) / 1000), now_ms=now_ms)
    assert isinstance(found, DpopProof) if is_good else found is ProofFault.TIME


@pytest.mark.parametrize("iat", [None, "1795000000", True, -1, float("1e300"), [1795000000]])
def test_an_iat_that_is_no_time(iat: Any) -> None:
    assert judged(PROVER.proof(NOW_MS, iat=iat)) is ProofFault.CLAIMS


def test_a_proof_that_says_it_is_over_or_not_yet_good() -> None:
    now = NOW_MS / 1000
    assert judged(PROVER.proof(NOW_MS, exp=now)) is ProofFault.TIME
    assert judged(PROVER.proof(NOW_MS, nbf=now + 6)) is ProofFault.TIME
    assert isinstance(judged(PROVER.proof(NOW_MS, exp=now + 1, nbf=now)), DpopProof)
    assert judged(PROVER.proof(NOW_MS, exp="never")) is ProofFault.CLAIMS


@pytest.mark.parametrize("jti", [None, "", "x" * 257, 7])
def test_without_a_jti_no_replay_could_be_told(jti: Any) -> None:
    assert judged(PROVER.proof(NOW_MS, jti=jti)) is ProofFault.CLAIMS


@pytest.mark.parametrize("ath", [None, "", 7, ATH[:-1], ATH + "=", "ä", encoded(hashlib.sha256(b"other").digest())])
def test_a_proof_for_another_token(ath: Any) -> None:
    assert judged(PROVER.proof(NOW_MS, ath=ath), token=TOKEN) is ProofFault.TOKEN


def test_a_proof_for_this_token() -> None:
    assert isinstance(judged(PROVER.proof(NOW_MS, ath=ATH), token=TOKEN), DpopProof)
    assert judged(PROVER.proof(NOW_MS, ath=ATH), token=TOKEN + "ö") is ProofFault.TOKEN


ASKING = DpopVerifier(nonces=NONCES)


@pytest.mark.parametrize("nonce", [None, "", "guess", NONCES.current(NOW_MS - 120_000)])
def test_a_nonce_that_is_missing_not_ours_or_old(nonce: Any) -> None:
    assert judged(PROVER.proof(NOW_MS, nonce=nonce), verifier=ASKING) is ProofFault.NONCE


def test_a_nonce_of_ours() -> None:
    proof = judged(PROVER.proof(NOW_MS, nonce=NONCES.current(NOW_MS)), verifier=ASKING)
    assert isinstance(proof, DpopProof)
    assert proof.nonce == NONCES.current(NOW_MS)


def test_a_nonce_is_handed_to_nobody_whose_proof_is_bad() -> None:
    """Whoever cannot sign learns nothing, and costs nothing more."""
    assert judged(PROVER.proof(NOW_MS, header={"jwk": Prover().public}), verifier=ASKING) is ProofFault.SIGNATURE
    assert judged(PROVER.proof(NOW_MS, nonce=7), verifier=ASKING) is ProofFault.CLAIMS


def test_a_nonce_where_none_is_asked_for_says_nothing() -> None:
    assert isinstance(judged(PROVER.proof(NOW_MS, nonce="whatever")), DpopProof)


GOOD = PROVER.proof(NOW_MS)


@settings(deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.characters(codec="latin-1"))
def test_no_changed_character_leaves_a_proof(at: int, letter: str) -> None:
    changed = GOOD[:at] + letter + GOOD[at + 1 :]
    assert changed == GOOD or isinstance(judged(changed), ProofFault)


@given(st.lists(st.text(max_size=60), max_size=3))
def test_whatever_is_sent_is_judged(values: list[str]) -> None:
    assert isinstance(judged(*values), ProofFault)
