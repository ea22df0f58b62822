"""The verifier, attacked claim by claim and member by member."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from tests.fakes.issuer import AUDIENCE, ISSUER, NOW_MS, THUMBPRINT, FakeIssuer

FAKE = FakeIssuer()
VERIFIER = OneTimeTokenVerifier(trust={ISSUER: FAKE.trusted()}, iat_lead_ms=500, exp_leeway_ms=2000)


def verdict(text: str, *, audience: str = AUDIENCE, now_ms: int = NOW_MS) -> Reason | None:
    result = VERIFIER.verify(text, audience=audience, now_ms=now_ms)
    return result.reason if isinstance(result, Rejection) else None


def test_a_good_token_is_believed() -> None:
    token = VERIFIER.verify(FAKE.token(), audience=AUDIENCE, now_ms=NOW_MS)
    assert isinstance(token, VerifiedToken)
    assert (token.subject, token.client_id, token.scope) == (
        "spiffe://bank.example/rgs",
        "rgs",
        frozenset({"wallet:debit"}),
    )
    assert token.confirmation.x5t_s256 == THUMBPRINT
    assert token.issued_at_ms == NOW_MS
    assert "jti" not in repr(token)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"typ": "JWT"}, Reason.TOKEN_TYPE_REFUSED),
        ({"typ": "at+jwt"}, Reason.TOKEN_TYPE_REFUSED),
        ({"typ": "dpop+jwt"}, Reason.TOKEN_TYPE_REFUSED),
        ({"typ": None}, Reason.TOKEN_TYPE_REFUSED),
        ({"typ": 7}, Reason.TOKEN_MALFORMED),
        ({"alg": "none"}, Reason.TOKEN_ALGORITHM_REFUSED),
        ({"alg": "nOnE"}, Reason.TOKEN_ALGORITHM_REFUSED),
        ({"alg": "HS256"}, Reason.TOKEN_ALGORITHM_REFUSED),
        ({"alg": "ES256"}, Reason.TOKEN_ALGORITHM_REFUSED),
        ({"alg": "eddsa"}, Reason.TOKEN_ALGORITHM_REFUSED),
        ({"alg": None}, Reason.TOKEN_MALFORMED),
        ({"alg": ["EdDSA"]}, Reason.TOKEN_MALFORMED),
        ({"kid": "k2"}, Reason.TOKEN_KEY_UNKNOWN),
        ({"kid": "../../etc/passwd"}, Reason.TOKEN_KEY_UNKNOWN),
        ({"kid": None}, Reason.TOKEN_KEY_UNKNOWN),
        ({"kid": 1}, Reason.TOKEN_MALFORMED),
        ({"crit": ["exp"]}, Reason.TOKEN_HEADER_REFUSED),
        ({"crit": []}, Reason.TOKEN_HEADER_REFUSED),
        ({"crit": ["b64"], "b64": False}, Reason.TOKEN_HEADER_REFUSED),
        ({"b64": False}, Reason.TOKEN_HEADER_REFUSED),
        ({"b64": 0}, Reason.TOKEN_HEADER_REFUSED),
        ({"b64": 1}, Reason.TOKEN_HEADER_REFUSED),
        ({"zip": "DEF"}, Reason.TOKEN_HEADER_REFUSED),
    ],
)
def test_a_signed_token_with_a_bad_header_is_refused(header: dict[str, Any], reason: Reason) -> None:
    assert verdict(FAKE.token(header=header)) is reason


@pytest.mark.parametrize("typ", ["OTT+JWT", "application/ott+jwt", "Application/OTT+jwt"])
def test_a_type_is_a_media_type_in_any_case(typ: str) -> None:
    """RFC 7515 §4.1.9; an issuer that writes it out is no stranger."""
    assert verdict(FAKE.token(header={"typ": typ})) is None


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_brought_along_is_never_used(member: str) -> None:
    """Key confusion: the attacker signs with a key of their own and offers it in the header (CVE-2018-0114)."""
    attacker = FakeIssuer(seed=b"\2" * 32)
    jwk = json.loads(attacker.jwks())["keys"][0]
    offered = {"jwk": jwk, "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5", "x5c": ["AAAA"]}
    assert verdict(attacker.token(header={member: offered[member]})) is Reason.TOKEN_SIGNATURE_INVALID
    assert verdict(FAKE.token(header={member: offered[member]})) is None  # ignored, not followed


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, Reason.TOKEN_ISSUER_UNKNOWN),
        ({"iss": None}, Reason.TOKEN_ISSUER_UNKNOWN),
        ({"iss": [ISSUER]}, Reason.TOKEN_ISSUER_UNKNOWN),
        ({"aud": "bank.api"}, Reason.TOKEN_AUDIENCE_MISMATCH),
        ({"aud": "WALLET.API"}, Reason.TOKEN_AUDIENCE_MISMATCH),
        ({"aud": [AUDIENCE]}, Reason.TOKEN_CLAIMS_INVALID),
        ({"aud": [AUDIENCE, "bank.api"]}, Reason.TOKEN_CLAIMS_INVALID),
        ({"aud": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": ""}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": 1}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": "a\r\nx-admin: 1"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": "a\ud800"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": "admin\0x"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": "a\x1fb"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": "a\x7fb"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": "a\x85b"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": "a\x9f"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"sub": "x" * 513}, Reason.TOKEN_CLAIMS_INVALID),
        ({"client_id": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"jti": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"jti": "short"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"jti": 12345678901234567890123}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": True}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": str(NOW_MS // 1000)}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": -1}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": 1e300}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": 10**400}, Reason.TOKEN_CLAIMS_INVALID),
        ({"exp": NOW_MS / 1000 + 301}, Reason.TOKEN_LIFETIME_TOO_LONG),
        ({"exp": NOW_MS / 1000}, Reason.TOKEN_LIFETIME_TOO_LONG),
        ({"exp": NOW_MS / 1000 - 1}, Reason.TOKEN_LIFETIME_TOO_LONG),
        ({"nbf": NOW_MS / 1000 + 5}, Reason.TOKEN_NOT_YET_VALID),
        ({"auth_time": NOW_MS / 1000 + 5}, Reason.TOKEN_NOT_YET_VALID),
        ({"nbf": "soon"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"cnf": {}}, Reason.TOKEN_CLAIMS_INVALID),
        ({"cnf": "x5t"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"cnf": {"x5t#S256": "AAAA"}}, Reason.TOKEN_CLAIMS_INVALID),
        ({"cnf": {"x5t#S256": 5}}, Reason.TOKEN_CLAIMS_INVALID),
        ({"scope": "a  b"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"scope": ["wallet:debit"]}, Reason.TOKEN_CLAIMS_INVALID),
        ({"scope": 'a"b'}, Reason.TOKEN_CLAIMS_INVALID),
        ({"txn": 5}, Reason.TOKEN_CLAIMS_INVALID),
        ({"auth_time": "now"}, Reason.TOKEN_CLAIMS_INVALID),
    ],
)
def test_a_signed_token_with_a_bad_claim_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    assert verdict(FAKE.token(FAKE.claims(**changes))) is reason


@pytest.mark.parametrize(
    ("claim", "longest", "shortest"), [("sub", 512, 1), ("client_id", 512, 1), ("jti", 512, 22), ("txn", 512, 1)]
)
def test_the_edges_of_a_claims_length(claim: str, longest: int, shortest: int) -> None:
    """A shorter jti has fewer than 128 random bits, and could be guessed or met again."""
    for length, reason in (
        (shortest - 1, Reason.TOKEN_CLAIMS_INVALID),
        (shortest, None),
        (longest, None),
        (longest + 1, Reason.TOKEN_CLAIMS_INVALID),
    ):
        assert verdict(FAKE.token(FAKE.claims() | {claim: "x" * length})) is reason, length


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"iss":"a","iss":"b"}', Reason.TOKEN_MALFORMED),
        (b'{"exp":NaN}', Reason.TOKEN_MALFORMED),
        (b'{"exp":Infinity}', Reason.TOKEN_MALFORMED),
        (b"[]", Reason.TOKEN_MALFORMED),
        (b"null", Reason.TOKEN_MALFORMED),
        (b"{", Reason.TOKEN_MALFORMED),
        (b'\xff\xfe{"a":1}', Reason.TOKEN_MALFORMED),
        (b'{"a":' + b"9" * 5000 + b"}", Reason.TOKEN_MALFORMED),
        (b"[" * 6000, Reason.TOKEN_MALFORMED),
    ],
)
def test_a_payload_two_parsers_could_read_differently_is_refused(payload: bytes, reason: Reason) -> None:
    assert verdict(FAKE.sign(b'{"alg":"EdDSA","kid":"k1","typ":"ott+jwt"}', payload)) is reason


@pytest.mark.parametrize("header", [b'{"alg":"EdDSA","alg":"none","kid":"k1","typ":"ott+jwt"}', b"[]", b"\xff", b"{}x"])
def test_a_header_two_parsers_could_read_differently_is_refused(header: bytes) -> None:
    assert verdict(FAKE.sign(header, b"{}")) is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize(
    "mangle",
    [
        lambda _: "",
        lambda _: "a",
        lambda t: t.replace(".", "", 1),
        lambda t: t + ".",
        lambda t: t + ".AAAA",
        lambda t: "." + t,
        lambda t: t + "=",
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: t.replace("e", "+", 1),
        lambda t: t.rsplit(".", 1)[0] + ".",
        lambda t: t.split(".")[0] + ".." + t.split(".")[2],
        lambda t: t + "é",
        lambda t: json.dumps({"payload": t.split(".")[1], "signatures": []}),
    ],
)
def test_what_is_no_compact_jws_is_refused(mangle: Callable[[str], str]) -> None:
    assert verdict(mangle(FAKE.token())) is Reason.TOKEN_MALFORMED


def test_the_unused_bits_of_base64url_must_be_zero() -> None:
    """A token has one spelling: 64 signature bytes end in a character with four unused bits."""
    token = FAKE.token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sibling = token[:-1] + alphabet[alphabet.index(token[-1]) + 1]
    assert verdict(sibling) is Reason.TOKEN_MALFORMED


def test_a_token_of_more_than_8_kib_is_refused_unread() -> None:
    assert verdict("a" * 8193) is Reason.TOKEN_TOO_LARGE
    assert verdict(FAKE.token(FAKE.claims(pad="x" * 8000))) is Reason.TOKEN_TOO_LARGE


def test_no_flipped_character_is_ever_accepted() -> None:
    token = FAKE.token()
    for index, character in enumerate(token):
        flipped = token[:index] + ("A" if character != "A" else "B") + token[index + 1 :]
        assert verdict(flipped) is not None, index


@pytest.mark.parametrize(
    ("offset_ms", "reason"),
    [
        (-501, Reason.TOKEN_NOT_YET_VALID),
        (-500, None),
        (0, None),
        (31_999, None),
        (32_000, Reason.TOKEN_EXPIRED),
        (10**9, Reason.TOKEN_EXPIRED),
    ],
)
def test_the_edges_of_a_tokens_life(offset_ms: int, reason: Reason | None) -> None:
    """iat may lead by 500 ms, exp (30 s) may be past by less than 2 s."""
    assert verdict(FAKE.token(), now_ms=NOW_MS + offset_ms) is reason


def test_the_shortest_life_is_a_millisecond_and_the_longest_is_within_the_bound() -> None:
    wrong = Reason.TOKEN_LIFETIME_TOO_LONG
    for lifetime_ms, reason in ((0, wrong), (1, None), (300_000, None), (300_001, wrong)):
        claims = FAKE.claims(exp=(NOW_MS + lifetime_ms + 0.5) / 1000)
        assert verdict(FAKE.token(claims)) is reason, lifetime_ms


def test_the_key_of_one_issuer_does_not_sign_for_another() -> None:
    other = FakeIssuer("https://other.example", seed=b"\3" * 32)
    verifier = OneTimeTokenVerifier(
        trust={ISSUER: FAKE.trusted(), other.issuer: other.trusted()}, iat_lead_ms=0, exp_leeway_ms=0
    )
    forged = other.token(other.claims(iss=ISSUER))
    assert verifier.verify(forged, audience=AUDIENCE, now_ms=NOW_MS) == Rejection(Reason.TOKEN_SIGNATURE_INVALID)


def test_an_empty_trust_list_refuses_everything() -> None:
    verifier = OneTimeTokenVerifier(trust={}, iat_lead_ms=0, exp_leeway_ms=0)
    assert verifier.verify(FAKE.token(), audience=AUDIENCE, now_ms=NOW_MS) == Rejection(Reason.TOKEN_ISSUER_UNKNOWN)


def test_a_restriction_we_cannot_enforce_is_carried_to_the_refusal() -> None:
    claims = FAKE.claims(authorization_details=[{"type": "payment_initiation"}])
    token = VERIFIER.verify(FAKE.token(claims), audience=AUDIENCE, now_ms=NOW_MS)
    assert isinstance(token, VerifiedToken)
    assert token.restrictions == ("authorization_details[0]",)
    assert token.claims == claims


@pytest.mark.parametrize("claim", ["authorization_details", "region", "htm", "htp", "digest"])
def test_a_malformed_restriction_is_never_left_out(claim: str) -> None:
    wrong: tuple[object, ...] = ("", None, 7, [], {}, "\u00e9")
    for value in wrong:
        payload = json.dumps(FAKE.claims() | {claim: value}).encode()
        header = b'{"alg": "EdDSA", "kid": "k1", "typ": "ott+jwt"}'
        answer = VERIFIER.verify(FAKE.sign(header, payload), audience=AUDIENCE, now_ms=NOW_MS)
        assert answer == Rejection(Reason.TOKEN_CLAIMS_INVALID), (claim, value)


def test_fractions_of_iat_are_rounded_down() -> None:
    token = VERIFIER.verify(FAKE.token(FAKE.claims(iat=NOW_MS / 1000 - 0.0001)), audience=AUDIENCE, now_ms=NOW_MS)
    assert isinstance(token, VerifiedToken)
    assert token.issued_at_ms == NOW_MS - 1
