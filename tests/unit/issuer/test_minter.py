"""What stands in a minted token, and what never may."""

import asyncio
import json
import secrets
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

import jwt
import pyseto
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.authn.paseto_token import PasetoOneTimeVerifier
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder, OrderError
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.token import TokenKind, VerifiedToken
from ott_extauthz.stores.signing import SigningAlgorithm, new_key, public_jwk, signer_from
from tests.fakes.issuing import OneKey, SetClock, minted

ISSUER = "https://issuer.bank.example"
ALGORITHMS: tuple[SigningAlgorithm, ...] = ("EdDSA", "ES256", "RS256", "PS256")
NOW_MS = 1_795_000_000_123
THUMBPRINT = Thumbprint(bytes(range(32)))
ORDER = MintOrder(
    subject="spiffe://bank.example/rgs",
    client_id="rgs",
    audience="wallet.api",
    scope=frozenset({"wallet:read", "wallet:debit"}),
    lifetime_ms=30_000,
    thumbprint=THUMBPRINT,
)


a_key = cache(new_key)  # an RSA key takes a third of a second


def minter(algorithm: SigningAlgorithm = "EdDSA") -> tuple[Minter, dict[str, Any]]:
    key = a_key(algorithm)
    signer = signer_from(key, algorithm)
    assert signer is not None
    built = Minter(
        issuer=ISSUER, rings={DEFAULT_RING: OneKey(signer)}, clock=SetClock(NOW_MS), entropy=secrets.token_bytes
    )
    return built, {"keys": [public_jwk(key.public_key(), algorithm)]}


def part(token: str, index: int) -> Any:
    raw = decoded(token.split(".")[index])
    assert raw is not None
    return json.loads(raw)


def test_header_holds_three_members_and_no_more() -> None:
    built, jwks = minter()
    assert part(minted(built, ORDER), 0) == {"alg": "EdDSA", "kid": jwks["keys"][0]["kid"], "typ": "ott+jwt"}


def test_claims_are_those_of_the_design() -> None:
    claims = part(minted(minter()[0], ORDER), 1)
    jti, txn = claims.pop("jti"), claims.pop("txn")
    assert claims == {
        "iss": ISSUER,
        "sub": "spiffe://bank.example/rgs",
        "client_id": "rgs",
        "aud": "wallet.api",
        "iat": 1_795_000_000.123,
        "exp": 1_795_000_030.123,
        "cnf": {"x5t#S256": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"},
        "scope": "wallet:debit wallet:read",
    }
    assert [len(decoded(value) or b"") for value in (jti, txn)] == [16, 16]


def test_milliseconds_are_printed_as_a_plain_decimal() -> None:
    payload = decoded(minted(minter()[0], ORDER).split(".")[1])
    assert payload is not None
    assert b'"iat":1795000000.123,"exp":1795000030.123' in payload


def test_two_tokens_of_one_order_share_neither_jti_nor_txn() -> None:
    built, _ = minter()
    tokens = [part(minted(built, ORDER), 1) for _ in range(2000)]
    assert len({claims["jti"] for claims in tokens}) == len({claims["txn"] for claims in tokens}) == 2000


def test_given_txn_is_kept_and_a_call_chain_stays_one_transaction() -> None:
    assert part(minted(minter()[0], replace(ORDER, txn="t-1")), 1)["txn"] == "t-1"


def test_optional_claims_appear_only_where_given() -> None:
    order = replace(ORDER, auth_time_ms=1_794_999_000_500, acr="urn:loa:3", amr=("hwk", "pin"), sid="s-1")
    claims = part(minted(minter()[0], order), 1)
    assert [claims[name] for name in ("auth_time", "acr", "amr", "sid")] == [
        1_794_999_000.5, "urn:loa:3", ["hwk", "pin"], "s-1",
    ]  # fmt: skip
    assert not {"auth_time", "acr", "amr", "sid"} & part(minted(minter()[0], ORDER), 1).keys()


def test_no_thumbprint_no_cnf_and_no_scope_no_claim() -> None:
    claims = part(minted(minter()[0], replace(ORDER, thumbprint=None, scope=frozenset())), 1)
    assert not {"cnf", "scope"} & claims.keys()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_pyjwt_verifies(algorithm: SigningAlgorithm) -> None:
    built, jwks = minter(algorithm)
    token = minted(built, ORDER)
    key = jwt.PyJWKSet.from_dict(jwks)[jwt.get_unverified_header(token)["kid"]]
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, key, algorithms=[algorithm], audience="wallet.api", issuer=ISSUER, options=options)
    assert claims["client_id"] == "rgs"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_joserfc_verifies(algorithm: SigningAlgorithm) -> None:
    built, jwks = minter(algorithm)
    keys = KeySet.import_key_set(jwks)  # type: ignore[arg-type]  # typed for its own dictionaries
    token = joserfc_jwt.decode(minted(built, ORDER), keys, algorithms=[algorithm])
    assert token.claims["sub"] == "spiffe://bank.example/rgs"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_our_own_check_accepts_to_the_millisecond(algorithm: SigningAlgorithm) -> None:
    built, jwks = minter(algorithm)
    trust = {ISSUER: TrustedIssuer(ISSUER, frozenset({algorithm}), keys_from(json.dumps(jwks).encode()))}
    verifier = OneTimeTokenVerifier(trust=trust, iat_lead_ms=0, exp_leeway_ms=0)
    token = verifier.verify(minted(built, replace(ORDER, lifetime_ms=300_000)), audience="wallet.api", now_ms=NOW_MS)
    assert isinstance(token, VerifiedToken)
    assert (token.issued_at_ms, token.expires_at_ms) == (NOW_MS, NOW_MS + 300_000)
    assert token.confirmation.x5t_s256 == THUMBPRINT


@pytest.mark.parametrize(
    "change",
    [
        {"lifetime_ms": 999},
        {"lifetime_ms": 300_001},
        {"lifetime_ms": -30_000},
        {"subject": ""},
        {"client_id": "rgs\n"},
        {"audience": "a" * 513},
        {"txn": ""},
        {"sid": "\x1b[2J"},
        {"acr": "\ud800"},
        {"thumbprint": Thumbprint(b"short")},
        {"scope": frozenset({"wallet:debit admin"})},
        {"scope": frozenset({""})},
        {"scope": frozenset({'"'})},
    ],
)
def test_orders_out_of_bounds_cannot_be_built(change: dict[str, Any]) -> None:
    with pytest.raises(OrderError, match=next(iter(change)).removesuffix("_ms")):
        replace(ORDER, **change)


def test_weak_entropy_signs_nothing() -> None:
    signer = signer_from(new_key("EdDSA"), "EdDSA")
    assert signer is not None
    built = Minter(issuer=ISSUER, rings={DEFAULT_RING: OneKey(signer)}, clock=SetClock(NOW_MS), entropy=lambda _: b"\0")
    with pytest.raises(RuntimeError, match="entropy"):
        minted(built, ORDER)


def test_repr_of_an_order_shows_no_binding_and_no_session() -> None:
    shown = repr(replace(ORDER, sid="session-7"))
    assert "session-7" not in shown
    assert "thumbprint" not in shown


def test_what_narrows_a_token_stands_in_it_as_ordered() -> None:
    narrowing = {"htm": "POST", "authorization_details": [{"type": "mandate", "region": "EU"}]}
    claims = part(minted(minter()[0], replace(ORDER, narrowing=narrowing)), 1)
    assert {name: claims[name] for name in narrowing} == narrowing


@pytest.mark.parametrize(
    ("narrowing", "message"),
    [
        ({"sub": "admin"}, "sub: no claim that narrows"),
        ({"exp": 9e9}, "exp: no claim that narrows"),
        ({"htm": ""}, "htm: malformed"),
        ({"authorization_details": []}, "authorization_details: malformed"),
        ({"authorization_details": [{"type": "x"}]}, "does not know it"),
    ],
)
def test_an_order_cannot_widen_or_garble_a_token(narrowing: dict[str, Any], message: str) -> None:
    with pytest.raises(OrderError, match=message):
        minted(minter()[0], replace(ORDER, narrowing=narrowing))


def test_a_token_ends_at_its_instant_whenever_it_is_made() -> None:
    claims = part(minted(minter()[0], replace(ORDER, not_after_ms=NOW_MS + 2500)), 1)
    assert claims["exp"] == (NOW_MS + 2500) / 1000
    claims = part(minted(minter()[0], replace(ORDER, not_after_ms=NOW_MS + 99_000)), 1)
    assert claims["exp"] == (NOW_MS + 30_000) / 1000
    for late in (NOW_MS, NOW_MS - 1):
        with pytest.raises(OrderError, match="not_after"):
            minted(minter()[0], replace(ORDER, not_after_ms=late))


def test_a_token_that_no_check_server_would_read_is_not_made() -> None:
    """Each text within its own bound, and together too long."""
    act: dict[str, Any] = {"sub": "a" * 512}
    for _ in range(9):
        act = {"sub": "a" * 512, "act": act}
    with pytest.raises(OrderError, match="size"):
        minted(minter()[0], replace(ORDER, act=act))


def test_fractions_of_a_transactions_context_stay_numbers() -> None:
    context = {"req_wl": "w", "tctx": {"odds": Decimal("1.25")}}
    order = replace(ORDER, kind=TokenKind.TRANSACTION, context=context)
    token = minted(minter()[0], order)
    assert (part(token, 0)["typ"], part(token, 1)["tctx"]) == ("txntoken+jwt", {"odds": 1.25})
    with pytest.raises(OrderError, match="context"):
        replace(ORDER, context=context)


PASETO = replace(ORDER, format="paseto")


def test_pyseto_verifies_what_is_minted_as_paseto() -> None:
    built, jwks = minter()
    [jwk] = jwks["keys"]
    key = pyseto.Key.from_asymmetric_key_params(4, x=decoded(jwk["x"]) or b"")
    found = pyseto.decode(key, minted(built, PASETO))  # its bytes: with a deserializer it would ask the real time
    assert isinstance(found.footer, bytes)
    assert json.loads(found.footer) == {"kid": jwk["kid"], "typ": "ott+paseto"}
    assert isinstance(found.payload, bytes)
    claims = json.loads(found.payload)
    assert (claims["iat"], claims["exp"]) == (
        "2026-11-18T11:06:40.123+00:00",
        "2026-11-18T11:07:10.123+00:00",
    )
    as_jws = part(minted(built, ORDER), 1)
    differing = {name for name in as_jws if as_jws[name] != claims[name]}
    assert differing == {"iat", "exp", "jti", "txn"}
    assert as_jws.keys() == claims.keys()


def test_our_own_check_accepts_a_paseto_to_the_millisecond() -> None:
    built, jwks = minter()
    trust = {ISSUER: TrustedIssuer(ISSUER, frozenset({"EdDSA"}), keys_from(json.dumps(jwks).encode()))}
    verifier = PasetoOneTimeVerifier(trust=trust, iat_lead_ms=0, exp_leeway_ms=0)
    token = verifier.verify(minted(built, PASETO), audience="wallet.api", now_ms=NOW_MS)
    assert isinstance(token, VerifiedToken)
    assert (token.issued_at_ms, token.expires_at_ms) == (NOW_MS, NOW_MS + 30_000)
    assert token.confirmation.x5t_s256 == THUMBPRINT


def test_one_batch_may_hold_both_formats() -> None:
    built, _ = minter()
    tokens = asyncio.run(built.mint([ORDER, PASETO, ORDER]))
    assert [token.startswith("v4.public.") for token in tokens] == [False, True, False]


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256"])
def test_a_key_that_is_not_ed25519_signs_no_paseto(algorithm: SigningAlgorithm) -> None:
    with pytest.raises(OrderError, match=f"wants Ed25519, and the ring's key is for {algorithm}"):
        minted(minter(algorithm)[0], PASETO)


@pytest.mark.parametrize("kind", [TokenKind.ACCESS, TokenKind.TRANSACTION])
def test_only_one_time_tokens_are_minted_as_paseto(kind: TokenKind) -> None:
    with pytest.raises(OrderError, match="only a one-time token is minted as PASETO"):
        replace(PASETO, kind=kind)


def test_a_paseto_that_no_check_server_would_read_is_not_minted() -> None:
    act: dict[str, Any] = {"sub": "a" * 512}
    for _ in range(9):
        act = {"sub": "a" * 512, "act": act}
    with pytest.raises(OrderError, match="size"):
        minted(minter()[0], replace(PASETO, act=act))
