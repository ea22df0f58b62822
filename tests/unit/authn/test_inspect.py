"""`inspect` tells everything that is wrong, and repeats nothing that could be presented."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.authn.inspect import Inspection, inspect_token
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.model.token import VerifiedToken
from tests.fakes.issuer import AUDIENCE, ISSUER, NOW_MS, FakeIssuer
from tests.fakes.pasetos import PasetoIssuer

GOOD_HEADER = {"alg": "EdDSA", "kid": "k", "typ": "ott+jwt"}
GOOD_CLAIMS = FakeIssuer().claims()
SIGNATURE = "c2lnbmF0dXJlLW9mLXRoaXMtdG9rZW4"


def part(content: object) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def looked_at(header: object = GOOD_HEADER, claims: object = GOOD_CLAIMS, *, signature: str = SIGNATURE) -> Inspection:
    return inspect_token(f"{part(header)}.{part(claims)}.{signature}", NOW_MS)


def problems(**changes: object) -> tuple[str, ...]:
    claims = {name: value for name, value in (GOOD_CLAIMS | changes).items() if value is not None}
    return looked_at(claims=claims).problems


def header_problems(**changes: object) -> tuple[str, ...]:
    header = {name: value for name, value in (GOOD_HEADER | changes).items() if value is not None}
    return looked_at(header).problems


def test_a_token_that_the_check_accepts_has_nothing_wrong() -> None:
    issuer = FakeIssuer()
    verifier = OneTimeTokenVerifier(trust={ISSUER: issuer.trusted()}, iat_lead_ms=0, exp_leeway_ms=0)
    assert isinstance(verifier.verify(issuer.token(), audience=AUDIENCE, now_ms=NOW_MS), VerifiedToken)
    found = inspect_token(f"\n  {issuer.token()}\n", NOW_MS)
    assert found.problems == ()
    assert found.header == {"alg": "EdDSA", "kid": "k1", "typ": "ott+jwt"}
    assert found.claims == issuer.claims()


def test_neither_signature_nor_text_is_shown() -> None:
    token = f"{part(GOOD_HEADER)}.{part(GOOD_CLAIMS)}.{SIGNATURE}"
    found = inspect_token(token, NOW_MS)
    shown = f"{found.header} {found.claims} {found.problems} {found!r}"
    for secret in (SIGNATURE, part(GOOD_CLAIMS), base64.urlsafe_b64decode(SIGNATURE + "=").decode()):
        assert secret not in shown
    assert GOOD_CLAIMS["jti"] not in repr(found)


@pytest.mark.parametrize("text", ["", "   ", "one two", "a.b.c d.e.f"])
def test_no_token_at_all(text: str) -> None:
    found = inspect_token(text, NOW_MS)
    assert (found.header, found.claims) == (None, None)
    assert "not a token" in found.problems[0]


@pytest.mark.parametrize(("parts", "said"), [(1, "but 1"), (2, "but 2"), (4, "but 4"), (5, "encrypted JWE")])
def test_not_three_parts(parts: int, said: str) -> None:
    text = ".".join([part(GOOD_HEADER), part(GOOD_CLAIMS), "AA", "AA", "AA"][:parts])
    found = inspect_token(text, NOW_MS)
    assert said in found.problems[0]
    assert (found.header is not None) == (parts < 3)


def test_a_missing_signature_still_shows_what_is_there() -> None:
    found = looked_at(signature="")
    assert found.problems == ("signature: empty",)
    assert found.claims == GOOD_CLAIMS


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        ("AA==", "padded"),
        ("A", "no bytes are this long"),
        ("AB", "unused bits"),
        ("+/8", "not base64url"),
        ("\u00e9\u00e9", "not base64url"),
    ],
)
def test_bad_base64url(signature: str, said: str) -> None:
    assert any(
        problem.startswith("signature: ") and said in problem for problem in looked_at(signature=signature).problems
    )


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[1]", "not a JSON object"),
        (b"{", "not JSON"),
        (b'{"a": "\xff"}', "not JSON in UTF-8"),
        (b"[" * 100_000, "not JSON"),
        (b'{"iat": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"iat": NaN}', "NaN is not JSON"),
    ],
)
def test_bad_json(raw: bytes, said: str) -> None:
    found = looked_at(claims=raw)
    assert any(said in problem for problem in found.problems)
    assert found.header == GOOD_HEADER
    assert "header: not a JSON object" in looked_at(b"[1]", raw).problems


def test_duplicate_members_are_named_wherever_they_stand() -> None:
    found = looked_at(claims=b'{"aud": "a", "aud": "b", "cnf": {"jkt": 1, "jkt": 2}}').problems
    assert any("duplicate member 'aud'" in problem for problem in found)
    assert any("duplicate member 'jkt'" in problem for problem in found)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"typ": None}, "typ is None"),
        ({"typ": "JWT"}, "typ is 'JWT'"),
        ({"typ": ["ott+jwt"]}, "typ is a list"),
        ({"alg": "none"}, "not signed at all"),
        ({"alg": "NoNe"}, "not signed at all"),
        ({"alg": "HS256"}, "can also make one"),
        ({"alg": "ES512"}, "not one of EdDSA"),
        ({"alg": None}, "alg is None"),
        ({"alg": {}}, "alg is an object"),
        ({"kid": None}, "kid is missing"),
        ({"kid": 7}, "kid is missing"),
        ({"crit": ["b64"]}, "crit: extensions"),
        ({"zip": "DEF"}, "zip: extensions"),
        ({"b64": False}, "b64 is not true"),
        ({"jku": "https://evil.example"}, "jku: ignored"),
        ({"jwk": {}}, "jwk: ignored"),
    ],
)
def test_header_faults(changes: dict[str, Any], said: str) -> None:
    found = header_problems(**changes)
    assert len(found) == 1
    assert said in found[0]


def test_typ_may_be_spelled_as_a_media_type() -> None:
    assert header_problems(typ="application/OTT+JWT") == ()


@pytest.mark.parametrize("name", ["iss", "sub", "client_id", "aud", "jti", "iat", "exp"])
def test_missing_claims(name: str) -> None:
    assert f"{name} is missing" in problems(**{name: None})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aud": ["wallet.api"]}, "aud is not one string"),
        ({"sub": 7}, "sub is not a text"),
        ({"iss": ""}, "iss is not a text"),
        ({"jti": "short"}, "jti is too short: 5 characters"),
        ({"scope": "a  b"}, "scope is not a text"),
        ({"scope": ["a"]}, "scope is not a text"),
        ({"authorization_details": []}, "authorization_details is not a list with an object in it"),
        ({"authorization_details": ["mandate"]}, "authorization_details[0] is not an object with a type"),
        ({"authorization_details": [{"type": "payment"}]}, "authorization_details[0]: its type is not `mandate`"),
        ({"authorization_details": [{"type": "mandate"}]}, "authorization_details[0]: restricts nothing"),
        ({"authorization_details": [{"type": "mandate", "actions": ["x"], "brand": "A"}]}, "1 constraints that"),
        ({"authorization_details": [{"type": "mandate", "rate_limit": {}}]}, "count under an identifier"),
        ({"htm": "post"}, "htm is not a method in capitals"),
        ({"htp": "v1"}, "htp is not a path"),
        ({"digest": "x"}, "digest is not a SHA-256"),
        ({"exp": NOW_MS / 1000 - 7, "iat": NOW_MS / 1000 - 37}, "expired 7 s ago"),
        ({"exp": NOW_MS / 1000 - 90.5, "iat": NOW_MS / 1000 - 100}, "expired 90 s ago"),
        ({"iat": NOW_MS / 1000 + 2.5}, "iat is 2.5 s in the future"),
        ({"nbf": NOW_MS / 1000 + 60}, "not valid for another 60 s (nbf)"),
        ({"auth_time": NOW_MS / 1000 + 60}, "auth_time is 60 s in the future"),
        ({"nbf": True}, "nbf is not a number"),
        ({"exp": NOW_MS / 1000 + 301}, "lives 301 s, at most 300 s"),
        ({"exp": NOW_MS / 1000 + 10, "iat": NOW_MS / 1000 + 20}, "exp is not after iat"),
        ({"exp": "1795000030"}, "exp is not a number"),
        ({"iat": 1e300}, "iat is not a number"),
        ({"iat": True}, "iat is not a number"),
        ({"auth_time": -1}, "auth_time is not a number"),
        ({"cnf": None}, "no cnf"),
        ({"cnf": {}}, "cnf is not an object"),
        ({"cnf": "x"}, "cnf is not an object"),
        ({"cnf": {"x5t#S256": "AAAA"}}, "x5t#S256 is not a SHA-256"),
        ({"cnf": {"x5t#S256": 7}}, "x5t#S256 is not a SHA-256"),
        ({"cnf": GOOD_CLAIMS["cnf"] | {"jkt": "x"}}, "'jkt' cannot be proven"),
    ],
)
def test_claim_faults(changes: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in problems(**changes))


def test_what_narrows_a_token_well_is_not_complained_of() -> None:
    wanted = {"htm": "POST", "htp": "/v1/{wallet}", "digest": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")}
    details: list[dict[str, Any]] = [
        {"type": "mandate", "brand": "A"},
        {"type": "mandate", "identifier": "m", "rate_limit": {"count": 1, "per": "1m"}},
    ]
    assert problems(**wanted) == ()
    assert problems(authorization_details=details) == ()


def test_every_fault_is_told_not_the_first() -> None:
    found = looked_at({"alg": "none"}, {"aud": ["a"], "jti": "x", "exp": 1}).problems
    said = ["typ is", "alg is none", "kid is", "aud is not", "jti is too", "iss is missing", "expired", "no cnf"]
    assert [words for words in said if not any(words in problem for problem in found)] == []


def test_a_token_too_long_is_told_and_still_shown() -> None:
    found = looked_at(claims=GOOD_CLAIMS | {"note": "x" * 9000})
    assert any("are refused unread" in problem for problem in found.problems)
    assert found.claims is not None


def test_no_control_character_from_the_token_reaches_a_terminal() -> None:
    found = looked_at({"alg": "\x1b[31mred", "kid": "k", "typ": "\x07" * 100, "\x1b]0;": 1}, {"cnf": {"\x1b[2J": 1}})
    assert all(problem.isprintable() for problem in found.problems)
    assert all(len(problem) < 200 for problem in found.problems)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_MEMBERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", *GOOD_CLAIMS, "nbf", "auth_time", "htm"]) | st.text(), _JSON
)


@given(st.text() | st.builds(lambda a, b: f"{part(a)}.{part(b)}.AA", _MEMBERS | _JSON, _MEMBERS | _JSON))
def test_nothing_makes_it_stumble_and_its_words_are_printable(text: str) -> None:
    found = inspect_token(text, NOW_MS)
    assert found.problems
    assert all(problem.isprintable() for problem in found.problems)


def paseto_problems(claims: dict[str, Any] | None = None, footer: dict[str, Any] | None = None) -> tuple[str, ...]:
    issuer = PasetoIssuer()
    return inspect_token(issuer.token(issuer.claims() if claims is None else claims, footer), NOW_MS).problems


def test_a_paseto_that_the_check_accepts_has_nothing_wrong() -> None:
    issuer = PasetoIssuer()
    found = inspect_token(issuer.token(), NOW_MS)
    assert found.problems == ()
    assert found.header == {"kid": "k1", "typ": "ott+paseto"}
    assert found.claims == issuer.claims()


def test_everything_wrong_with_a_paseto_is_told() -> None:
    claims = PasetoIssuer().claims(iat=NOW_MS / 1000, exp="tomorrow", aud=["a"], jti=None)
    told = "\n".join(paseto_problems(claims, {"typ": "ott+jwt", "kid": None, "x": 1}))
    for expected in (
        "typ is 'ott+jwt'", "kid is missing", "a member that is no text", "iat is not a time", "exp is not a time",
        "aud is not one string", "jti is missing",
    ):  # fmt: skip
        assert expected in told
    assert "expired" in "\n".join(paseto_problems(PasetoIssuer().claims(NOW_MS - 60_000)))
    assert paseto_problems(PasetoIssuer().claims(aud=["wallet.api"]), {"typ": "at+paseto"}) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v3.public.AA.AA", "v3.public is refused"),
        ("v4.local.AAAA", "claims: encrypted"),
        ("v4.public.AAAA", "not four parts but 3; without"),
        ("v4.public.AAAA.AA", "too short for a signature"),
        ("v4.public.A=.AA.AA", "not four parts but 5"),
        ("v4.public." + "A" * 400 + "." + "A" * 600, "footer: longer than 512 characters"),
    ],
)
def test_what_is_no_paseto_is_told(text: str, expected: str) -> None:
    assert expected in "\n".join(inspect_token(text, NOW_MS).problems)


@given(st.text())
def test_no_text_that_begins_like_a_paseto_raises(text: str) -> None:
    assert inspect_token("v4.public." + text, NOW_MS).problems
