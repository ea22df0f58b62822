"""Bad tokens of every kind: each refused for its own reason, none delivered, none an error."""

import json
from collections.abc import Callable

import pytest

from tests.e2e.forge import Forge, b64, now
from tests.e2e.rig import Rig

pytestmark = pytest.mark.e2e

Make = Callable[[Forge], str | bytes]


def _claims(**changes: object) -> Make:
    return lambda forge: forge.token(**changes)


def _header(**changes: object) -> Make:
    return lambda forge: forge.signed(forge.claims(), changes)


def _unsigned(forge: Forge) -> str:
    return forge.signed(forge.claims(), {"alg": "none"})


def _tampered(forge: Forge) -> str:
    head, _, signature = forge.token().split(".")
    return f"{head}.{b64(json.dumps(forge.claims(sub='admin')).encode())}.{signature}"


def _duplicate_member(forge: Forge) -> str:
    text = json.dumps(forge.claims())
    return forge.signed((text[:-1] + ', "sub": "admin"}').encode())


def _resigned_by_stranger(forge: Forge) -> str:
    return Forge(forge.x5t_s256).token()


def _doubly_bound(forge: Forge) -> str:
    return forge.token(cnf={"x5t#S256": forge.x5t_s256, "jkt": forge.x5t_s256})


BAD_TOKENS: list[tuple[str, Make, int, str]] = [
    # form
    ("not a token", lambda _: "hello", 401, "token_malformed"),
    ("two parts", lambda forge: forge.token().rpartition(".")[0], 401, "token_malformed"),
    ("five parts, as a JWE", lambda _: "a.b.c.d.e", 401, "token_malformed"),
    ("empty signature", lambda forge: forge.token().rpartition(".")[0] + ".", 401, "token_malformed"),
    ("padding", lambda forge: forge.token() + "=", 401, "token_malformed"),
    ("not UTF-8", lambda forge: forge.token().encode() + b"\xff\xfe", 401, "token_malformed"),
    ("over 8 KiB", lambda forge: forge.token(extra="x" * 9000), 401, "token_too_large"),
    ("duplicate member", _duplicate_member, 401, "token_malformed"),
    ("joined by a comma", lambda forge: f"{forge.token()},{forge.token()}", 400, "credential_duplicated"),
    # JOSE header
    ("alg none", _unsigned, 401, "token_malformed"),
    ("alg none with a signature", lambda f: _unsigned(f) + b64(b"x"), 401, "token_algorithm_refused"),
    ("HS256 with the public key", _header(alg="HS256"), 401, "token_algorithm_refused"),
    ("RS256, which the issuer is not allowed", _header(alg="RS256", kid="rsa"), 401, "token_algorithm_refused"),
    ("ES256 under the Ed25519 key", _header(alg="ES256", kid="ed"), 401, "token_algorithm_refused"),
    ("unknown kid", _header(kid="nobody"), 401, "token_key_unknown"),
    ("kid is a path", _header(kid="../../jwks.json"), 401, "token_key_unknown"),
    ("no kid", _header(kid=None), 401, "token_key_unknown"),
    ("typ JWT", _header(typ="JWT"), 401, "token_type_refused"),
    ("typ of an access token", _header(typ="at+jwt"), 401, "token_type_refused"),
    ("no typ", _header(typ=None), 401, "token_type_refused"),
    ("crit", _header(crit=["exp"], exp=1), 401, "token_header_refused"),
    ("b64 false", _header(b64=False), 401, "token_header_refused"),
    ("zip", _header(zip="DEF"), 401, "token_header_refused"),
    # signature
    ("tampered payload", _tampered, 401, "token_signature_invalid"),
    ("same kid, another key", _resigned_by_stranger, 401, "token_signature_invalid"),
    # claims
    ("unknown issuer", _claims(iss="https://evil.example"), 401, "token_issuer_unknown"),
    ("no issuer", _claims(iss=None), 401, "token_issuer_unknown"),
    ("another audience", _claims(aud="ledger.api"), 401, "token_audience_mismatch"),
    ("a list of audiences", _claims(aud=["wallet.api"]), 401, "token_claims_invalid"),
    ("no audience", _claims(aud=None), 401, "token_claims_invalid"),
    ("no subject", _claims(sub=None), 401, "token_claims_invalid"),
    ("no jti", _claims(jti=None), 401, "token_claims_invalid"),
    ("short jti", _claims(jti="1"), 401, "token_claims_invalid"),
    ("no exp", _claims(exp=None), 401, "token_claims_invalid"),
    ("no iat", _claims(iat=None), 401, "token_claims_invalid"),
    ("exp is text", _claims(exp="tomorrow"), 401, "token_claims_invalid"),
    ("exp is true", _claims(exp=True), 401, "token_claims_invalid"),
    ("expired", lambda f: f.token(iat=now() - 60, exp=now() - 30), 401, "token_expired"),
    ("issued in the future", lambda f: f.token(iat=now() + 30, exp=now() + 60), 401, "token_not_yet_valid"),
    ("not yet valid", lambda f: f.token(nbf=now() + 30), 401, "token_not_yet_valid"),
    ("lives an hour", lambda f: f.token(exp=now() + 3600), 401, "token_lifetime_too_long"),
    ("ends before it begins", lambda f: f.token(exp=now() - 1), 401, "token_lifetime_too_long"),
    # binding
    ("unbound", _claims(cnf=None), 401, "token_unbound"),
    ("cnf of no kind", _claims(cnf={}), 401, "token_claims_invalid"),
    ("bound to another certificate", _claims(cnf={"x5t#S256": b64(bytes(32))}), 401, "certificate_mismatch"),
    ("bound to half a thumbprint", _claims(cnf={"x5t#S256": b64(bytes(16))}), 401, "token_claims_invalid"),
    ("bound to a DPoP key as well", _doubly_bound, 401, "dpop_proof_missing"),
    # rights
    ("no scope", _claims(scope=None), 403, "scope_missing"),
    ("another scope", _claims(scope="wallet:read"), 403, "scope_missing"),
    ("scope only as a prefix", _claims(scope="wallet:debits"), 403, "scope_missing"),
    ("scope is a list", _claims(scope=["wallet:debit"]), 401, "token_claims_invalid"),
    ("another client", _claims(client_id="casino"), 403, "client_denied"),
    ("a restriction we cannot enforce", _claims(authorization_details=[{"type": "x"}]), 403, "constraint_unknown"),
    ("a restriction that says nothing", _claims(authorization_details=[]), 401, "token_claims_invalid"),
    ("bound to another method", _claims(htm="GET"), 401, "request_mismatch"),
    # text that would split a header
    ("CR and LF in sub", _claims(sub="x\r\nx-inj: 1"), 401, "token_claims_invalid"),
    ("CR and LF in txn", _claims(txn="x\r\nx-inj: 1"), 401, "token_claims_invalid"),
    ("CR and LF in scope", _claims(scope="wallet:debit\r\nx-inj: 1"), 401, "token_claims_invalid"),
    ("CR and LF in client_id", _claims(client_id="rgs\r\nx-inj: 1"), 401, "token_claims_invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "status", "reason"), [pytest.param(*row[1:], id=row[0]) for row in BAD_TOKENS])
def test_a_bad_token_is_refused_for_its_own_reason(rig: Rig, make: Make, status: int, reason: str) -> None:
    answer = rig.call(token=make(rig.forge))
    assert answer.outcome == (status, reason)
    assert answer.deliveries == []
    assert answer.reply.header("x-inj") is None
    challenges = answer.reply.all("www-authenticate")
    assert (
        len(challenges) == 1 if status in (401, 403) and reason not in ("client_denied", "constraint_unknown") else True
    )


GOOD_TOKENS: list[tuple[str, Make]] = [
    ("EdDSA", lambda forge: forge.token()),
    ("ES256", lambda forge: forge.signed(forge.claims(), {"alg": "ES256", "kid": "ec"})),
    ("typ with its long name", lambda forge: forge.signed(forge.claims(), {"typ": "application/OTT+JWT"})),
    ("more scopes than asked for", lambda forge: forge.token(scope="wallet:read wallet:debit")),
    ("an unknown claim", lambda forge: forge.token(something={"else": 1})),
    ("a jku that must not be followed", lambda f: f.signed(f.claims(), {"jku": "https://evil.example/jwks"})),
    ("whole seconds", lambda f: f.token(iat=int(now()), exp=int(now()) + 30)),
    ("text beyond ASCII", lambda forge: forge.token(sub="Zoë-日本")),
]


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in GOOD_TOKENS])
def test_a_good_token_passes(rig: Rig, make: Make) -> None:
    answer = rig.call(token=make(rig.forge))
    assert answer.outcome == (200, None)
    assert answer.delivery.all("x-ott") == []


def test_step_up_asks_for_a_newer_login(rig: Rig) -> None:
    """RFC 9470: the client learns how fresh the login must be."""
    stale = rig.call(token=rig.good(auth_time=now() - 3600), target="/v1/step-up")
    assert stale.outcome == (401, "authentication_too_old")
    challenge = stale.reply.header("www-authenticate") or ""
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'max_age="300"' in challenge
    assert rig.call(token=rig.good(), target="/v1/step-up").outcome == (401, "authentication_too_old")
    assert rig.call(token=rig.good(auth_time=now() - 60), target="/v1/step-up").status == 200


def test_an_unbound_route_takes_unbound_tokens_and_still_only_once(rig: Rig) -> None:
    token = rig.good(cnf=None)
    assert rig.call(token=token, target="/v1/unbound").status == 200
    assert rig.call(token=token, target="/v1/unbound").outcome == (401, "token_replayed")


def test_a_bound_token_stays_bound_on_an_unbound_route(rig: Rig) -> None:
    assert rig.call(token=rig.good(), target="/v1/unbound", caller="thief").outcome == (401, "certificate_mismatch")


def test_one_jti_of_two_issuers_would_be_two_tokens_but_one_issuers_is_one(rig: Rig) -> None:
    jti = rig.forge.claims()["jti"]
    assert rig.call(token=rig.good(jti=jti)).status == 200
    assert rig.call(token=rig.good(jti=jti, sub="somebody-else")).outcome == (401, "token_replayed")
