"""Tokens as PASETO v4.public: what another implementation signs is believed, and nothing that only looks like it."""

import json
import sys
from typing import Any

import pyseto
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.authn.followed_keys import FollowedKeys
from ott_extauthz.authn.keys import P256Key, TrustedIssuer
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.authn.paseto import MAX_FOOTER_CHARACTERS, PasetoUnavailableError, require_pyseto, unverified_from
from ott_extauthz.authn.paseto_times import rfc3339, with_numeric_times
from ott_extauthz.authn.paseto_token import EitherFormat, PasetoAccessVerifier, PasetoOneTimeVerifier
from ott_extauthz.authn.signed_claims import KeyAwaited
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import TokenKind, VerifiedToken
from tests.fakes.issuer import AUDIENCE, ISSUER, KID, NOW_MS, FakeIssuer
from tests.fakes.pasetos import PasetoIssuer

OURS = PasetoIssuer()
MANDATE = [{"type": "mandate", "region": ["EU"]}]


def once(text: str, *, audience: str = AUDIENCE, now_ms: int = NOW_MS) -> VerifiedToken | Reason:
    verifier = PasetoOneTimeVerifier(trust={ISSUER: OURS.trusted()}, iat_lead_ms=500, exp_leeway_ms=2000)
    found = verifier.verify(text, audience=audience, now_ms=now_ms)
    return found.reason if isinstance(found, Rejection) else found


def access(text: str, *, is_mandate: bool = False) -> VerifiedToken | Reason:
    verifier = PasetoAccessVerifier(trust={ISSUER: OURS.trusted()}, iat_lead_ms=500, exp_leeway_ms=2000)
    verify = verifier.verify_mandate if is_mandate else verifier.verify
    found = verify(text, audience=AUDIENCE, now_ms=NOW_MS)
    return found.reason if isinstance(found, Rejection) else found


def test_what_pyseto_signs_is_the_token_that_a_jws_with_these_claims_is() -> None:
    found = once(OURS.token())
    jws = FakeIssuer()
    verifier = OneTimeTokenVerifier(trust={ISSUER: jws.trusted()}, iat_lead_ms=500, exp_leeway_ms=2000)
    assert found == verifier.verify(jws.token(), audience=AUDIENCE, now_ms=NOW_MS)


def test_a_key_that_is_on_its_way_is_waited_for_as_for_a_jws() -> None:
    """A rotation would refuse the first token of the new key in this format alone."""

    async def arrival(_: float) -> None: ...

    followed = FollowedKeys(is_believed=lambda: True, on_unknown=lambda: None, arrival=lambda: arrival)
    followed.put(OURS.trusted().keys)
    trusted = TrustedIssuer(ISSUER, frozenset({"EdDSA"}), followed)
    verifier = PasetoOneTimeVerifier(trust={ISSUER: trusted}, iat_lead_ms=500, exp_leeway_ms=2000)
    found = verifier.verify(OURS.token(footer={"kid": "new"}), audience=AUDIENCE, now_ms=NOW_MS)
    assert found == KeyAwaited(Reason.TOKEN_KEY_UNKNOWN, issuer=ISSUER, arrival=arrival)


def test_times_keep_their_milliseconds() -> None:
    found = once(OURS.token(OURS.claims(NOW_MS + 123, nbf=rfc3339(NOW_MS + 7))), now_ms=NOW_MS + 200)
    assert isinstance(found, VerifiedToken)
    assert (found.issued_at_ms, found.expires_at_ms) == (NOW_MS + 123, NOW_MS + 30_123)
    assert found.not_before_ms == NOW_MS + 7


def test_access_tokens_and_mandates_have_a_type_of_their_own() -> None:
    plain = OURS.token(footer={"typ": "at+paseto"})
    mandate = OURS.token(OURS.claims(authorization_details=MANDATE), {"typ": "at+paseto"})
    found = access(plain)
    assert isinstance(found, VerifiedToken)
    assert (found.kind, found.is_for_one_use) == (TokenKind.ACCESS, False)
    assert access(plain, is_mandate=True) is Reason.MANDATE_MISSING
    assert isinstance(access(mandate, is_mandate=True), VerifiedToken)


@pytest.mark.parametrize("typ", ["at+paseto", "ott+jwt", "at+jwt", "OTT+PASETO", "", None])
def test_another_kind_of_token_is_no_one_time_token(typ: str | None) -> None:
    assert once(OURS.token(footer={"typ": typ})) is Reason.TOKEN_TYPE_REFUSED


def test_a_one_time_token_is_no_access_token() -> None:
    assert access(OURS.token()) is Reason.TOKEN_TYPE_REFUSED
    assert access(OURS.token(), is_mandate=True) is Reason.TOKEN_TYPE_REFUSED


def test_a_footer_is_not_to_be_swapped() -> None:
    """The kind and the key are signed with the claims."""
    spent = OURS.token()
    reusable = OURS.token(footer={"typ": "at+paseto"})
    swapped = spent.rpartition(".")[0] + "." + reusable.rpartition(".")[2]
    assert access(swapped) is Reason.TOKEN_SIGNATURE_INVALID
    head = json.dumps({"kid": KID, "typ": "ott+paseto", "x": "y"}).encode()
    assert once(spent.rpartition(".")[0] + "." + encoded(head)) is Reason.TOKEN_SIGNATURE_INVALID


def test_an_implicit_assertion_is_none_of_ours() -> None:
    assert once(OURS.token(implicit_assertion=b"ott+paseto")) is Reason.TOKEN_SIGNATURE_INVALID


def test_another_issuers_key_signs_nothing_for_this_one() -> None:
    other = PasetoIssuer(seed=b"\2" * 32)
    assert once(other.token()) is Reason.TOKEN_SIGNATURE_INVALID
    assert once(PasetoIssuer(kid="k2", seed=b"\2" * 32).token()) is Reason.TOKEN_KEY_UNKNOWN
    assert once(PasetoIssuer("https://evil.example").token()) is Reason.TOKEN_ISSUER_UNKNOWN
    assert once(OURS.token(OURS.claims(iss=None))) is Reason.TOKEN_ISSUER_UNKNOWN
    assert once(OURS.token(OURS.claims(iss=[ISSUER]))) is Reason.TOKEN_ISSUER_UNKNOWN


def test_without_a_key_set_the_issuer_is_at_fault_and_not_the_caller() -> None:
    trust = {ISSUER: TrustedIssuer(ISSUER, frozenset({"EdDSA"}), {})}
    verifier = PasetoOneTimeVerifier(trust=trust, iat_lead_ms=500, exp_leeway_ms=2000)
    found = verifier.verify(OURS.token(), audience=AUDIENCE, now_ms=NOW_MS)
    assert isinstance(found, Rejection)
    assert found.reason is Reason.KEY_SET_UNAVAILABLE


def test_a_key_that_is_not_ed25519_verifies_no_paseto() -> None:
    keys = {KID: P256Key(generate_private_key(SECP256R1()).public_key())}
    trust = {ISSUER: TrustedIssuer(ISSUER, frozenset({"EdDSA"}), keys)}
    found = PasetoOneTimeVerifier(trust=trust, iat_lead_ms=500, exp_leeway_ms=2000).verify(
        OURS.token(), audience=AUDIENCE, now_ms=NOW_MS
    )
    assert isinstance(found, Rejection)
    assert found.reason is Reason.TOKEN_ALGORITHM_REFUSED


def test_a_footer_is_small_and_holds_texts_alone() -> None:
    """Well signed, every one of them."""
    assert isinstance(once(OURS.token(footer={"x": "y"})), VerifiedToken)
    assert once(OURS.token(footer={"x": "a" * 400})) is Reason.TOKEN_MALFORMED
    values: tuple[object, ...] = (1, True, [], {"a": "b"})
    for value in values:
        assert once(OURS.token(footer={"x": value})) is Reason.TOKEN_HEADER_REFUSED


def test_a_token_that_is_too_large_is_not_read() -> None:
    assert once(OURS.token(OURS.claims(x="a" * 8192))) is Reason.TOKEN_TOO_LARGE


def _with_version(text: str, version: str) -> str:
    return version + text.removeprefix("v4.public.")


@pytest.mark.parametrize("version", ["v1.public.", "v2.public.", "v3.public.", "v4.local.", "v2.local.", "V4.public."])
def test_no_other_version_or_purpose_is_taken(version: str) -> None:
    """A server that reads v4.local with a public key as the shared one would take anybody's token."""
    assert once(_with_version(OURS.token(), version)) is Reason.TOKEN_ALGORITHM_REFUSED


def test_a_v4_local_made_with_the_public_key_is_refused() -> None:
    shared = pyseto.Key.new(4, "local", bytes(OURS.key.verify_key))
    footer = json.dumps({"kid": KID, "typ": "ott+paseto"}).encode()
    forged: bytes = pyseto.encode(shared, json.dumps(OURS.claims()).encode(), footer)
    assert once(forged.decode()) is Reason.TOKEN_ALGORITHM_REFUSED
    assert once(_with_version(forged.decode().removeprefix("v4.local."), "v4.public.")) is Reason.TOKEN_MALFORMED


def test_a_jws_is_no_paseto_nor_the_other_way_round() -> None:
    jws = FakeIssuer()
    trust, times = {ISSUER: jws.trusted()}, {"iat_lead_ms": 500, "exp_leeway_ms": 2000}
    either = EitherFormat(
        OneTimeTokenVerifier(trust={}, **times).verify, PasetoOneTimeVerifier(trust=trust, **times).verify
    )
    assert isinstance(either(OURS.token(), audience=AUDIENCE, now_ms=NOW_MS), VerifiedToken)
    refused = either(jws.token(), audience=AUDIENCE, now_ms=NOW_MS)
    assert isinstance(refused, Rejection)
    assert refused.reason is Reason.TOKEN_ISSUER_UNKNOWN, "the issuer is trusted for PASETO alone"
    swapped = EitherFormat(
        OneTimeTokenVerifier(trust=trust, **times).verify, PasetoOneTimeVerifier(trust={}, **times).verify
    )
    assert isinstance(swapped(jws.token(), audience=AUDIENCE, now_ms=NOW_MS), VerifiedToken)
    refused = swapped(OURS.token(), audience=AUDIENCE, now_ms=NOW_MS)
    assert isinstance(refused, Rejection)
    assert refused.reason is Reason.TOKEN_ISSUER_UNKNOWN


def _changed(text: str) -> list[str]:
    head, body, footer = text[:10], *text[10:].split(".")
    signed = decoded(body) or b""
    return [
        text + ".",
        text + ".AA",
        head + body,
        head + body + ".",
        head + "." + footer,
        head + body + "=." + footer,
        head + body + "." + footer + "=",
        head + body + "\n." + footer,
        " " + text,
        text + " ",
        head + encoded(signed[:64]) + "." + footer,
        head + encoded(signed[:63]) + "." + footer,
        head + encoded(signed[:-64]) + "." + footer,
        head + encoded(signed[:-1]) + "." + footer,
        head + encoded(signed + b"\0") + "." + footer,
        head + encoded(b" " + signed) + "." + footer,
        head + body.swapcase() + "." + footer,
        head + body + "." + encoded(b"{}x"),
        head + body + "." + encoded(b"[]"),
        head + body + "." + encoded(b'{"kid":"k1","kid":"k2"}'),
        head + body + "." + encoded(b'{"kid":1}'),
        head + body + "." + encoded(b'{"kid":{"a":"b"}}'),
        head + body + "." + encoded(b"[" * 300),
        head + body + "." + "A" * (MAX_FOOTER_CHARACTERS + 4),
        text * 20,
    ]


@pytest.mark.parametrize("index", range(25))
def test_a_token_that_was_changed_is_refused(index: int) -> None:
    found = once(_changed(OURS.token())[index])
    assert isinstance(found, Reason)


def test_every_bit_is_signed() -> None:
    text = OURS.token()
    signed = bytearray(decoded(text.split(".")[2]) or b"")
    for at in (0, 20, len(signed) - 65, len(signed) - 64, len(signed) - 1):
        flipped = bytearray(signed)
        flipped[at] ^= 1
        found = once(f"v4.public.{encoded(bytes(flipped))}.{text.split('.')[3]}")
        assert isinstance(found, Reason)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"iss":"a","iss":"b"}', b'{"exp":NaN}', b"\xff"])
def test_claims_are_strict_json(payload: bytes) -> None:
    key = OURS.key
    from ott_extauthz.authn.paseto import signing_input  # noqa: PLC0415 - to sign what pyseto would not

    footer = json.dumps({"kid": KID, "typ": "ott+paseto"}).encode()
    signed = payload + key.sign(signing_input(payload, footer)).signature
    assert once(f"v4.public.{encoded(signed)}.{encoded(footer)}") is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize(
    "value",
    [
        NOW_MS / 1000, str(NOW_MS // 1000), None, "", "2026-11-22", "2026-11-22 07:00:00Z", "2026-11-22T07:00:00",
        "2026-11-22T07:00Z", "2026-11-22T07:00:00z", "2026-11-22t07:00:00Z", "2026-11-22T07:00:60Z",
        "2026-13-22T07:00:00Z", "2026-02-30T07:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T07:00:00+24:00",
        "2026-11-22T07:00:00+0000", "2026-11-22T07:00:00.Z", "2026-11-22T07:00:00.1234567890Z",
        "0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "+2026-11-22T07:00:00Z", "2026-W47-7T07:00:00Z",
        "２０２６-11-22T07:00:00Z", "2026-11-22T07:00:00Z\n", ["2026-11-22T07:00:00Z"], True,  # noqa: RUF001
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
def test_a_time_that_is_not_rfc_3339_is_none(name: str, value: Any) -> None:
    claims = OURS.claims() | {name: value}
    assert once(OURS.token(claims)) is Reason.TOKEN_CLAIMS_INVALID


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-18T11:06:40Z", 1_795_000_000_000),
        ("2026-11-18T11:06:40.1Z", 1_795_000_000_100),
        ("2026-11-18T11:06:40.123999999+00:00", 1_795_000_000_123),
        ("2026-11-18T12:06:40+01:00", 1_795_000_000_000),
        ("2026-11-18T05:36:40.007-05:30", 1_795_000_000_007),
    ],
)
def test_rfc_3339_is_read_to_the_millisecond(text: str, expected: int) -> None:
    assert with_numeric_times({"exp": text})["exp"] == expected / 1000


@given(st.integers(min_value=1, max_value=253_402_300_799_999))
def test_what_is_written_is_read(milliseconds: int) -> None:
    assert round(with_numeric_times({"iat": rfc3339(milliseconds)})["iat"] * 1000) == milliseconds


@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert isinstance(unverified_from(text), Reason)
    assert isinstance(unverified_from("v4.public." + text), Reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "other.api"}, Reason.TOKEN_AUDIENCE_MISMATCH),
        ({"aud": [AUDIENCE]}, Reason.TOKEN_CLAIMS_INVALID),
        ({"jti": "short"}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": rfc3339(NOW_MS + 501)}, Reason.TOKEN_NOT_YET_VALID),
        ({"nbf": rfc3339(NOW_MS + 501)}, Reason.TOKEN_NOT_YET_VALID),
        ({"auth_time": (NOW_MS + 501) / 1000}, Reason.TOKEN_NOT_YET_VALID),
        ({"iat": rfc3339(NOW_MS - 40_000), "exp": rfc3339(NOW_MS - 2000)}, Reason.TOKEN_EXPIRED),
        ({"exp": rfc3339(NOW_MS + 300_001)}, Reason.TOKEN_LIFETIME_TOO_LONG),
        ({"exp": rfc3339(NOW_MS)}, Reason.TOKEN_LIFETIME_TOO_LONG),
        ({"exp": None}, Reason.TOKEN_CLAIMS_INVALID),
        ({"iat": None}, Reason.TOKEN_CLAIMS_INVALID),
    ],
)
def test_the_same_rules_hold_as_for_a_jws(changes: dict[str, Any], reason: Reason) -> None:
    assert once(OURS.token(OURS.claims(**changes))) is reason


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyseto", None)
    with pytest.raises(PasetoUnavailableError, match=r"install ott-extauthz\[paseto\]"):
        require_pyseto()
