"""Clients that sign assertions or know a secret, over real HTTPS; and those who only say that they do."""

import base64
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.bootstrap.client_secret_files import make_secret
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.issuer.attempt import JWT_BEARER
from tests.fakes.certificates import Authority, Leaf
from tests.issuer_bank import CLIENTS, RGS, Answer, Bank

MORE = """
  - client_id: jot
    authentication: private_key_jwt
    jwks: jot.json
    unbound: accept the risk
    audiences: {wallet.api: {scopes: ["wallet:debit"]}}
  - client_id: tied
    authentication: private_key_jwt
    jwks: tied.json
    audiences: {wallet.api: {scopes: ["wallet:debit"]}}
  - client_id: "old:client"
    authentication: client_secret_basic
    secret: old.secret
    unbound: accept the risk
    audiences: {wallet.api: {scopes: ["wallet:debit"]}}
"""
SETTINGS = ", client_secret_basic: accept the risk, failure_limit: {failures: 5, within: 30s}"
KEYS: dict[str, Any] = {
    "EdDSA": Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
}
KEYS["PS256"] = KEYS["RS256"]
STRANGER = Ed25519PrivateKey.generate()
_JTI = itertools.count()


def key_set(keys: dict[str, Any]) -> str:
    algorithms = {"EdDSA": jwt.algorithms.OKPAlgorithm, "ES256": jwt.algorithms.ECAlgorithm}
    entries = []
    for name, key in keys.items():
        algorithm = algorithms.get(name, jwt.algorithms.RSAAlgorithm)
        entries.append(json.loads(algorithm.to_jwk(key.public_key())) | {"kid": name, "use": "sig"})  # type: ignore[attr-defined]
    for entry in entries:
        entry.pop("key_ops", None)
    return json.dumps({"keys": entries})


@pytest.fixture
async def mixed(tmp_path: Path, authority: Authority) -> AsyncIterator[Bank]:
    bank = Bank(tmp_path, authority, clients=CLIENTS + MORE, issuer_settings=SETTINGS).prepare()
    (tmp_path / "jot.json").write_text(key_set({name: KEYS[name] for name in ("EdDSA", "ES256", "RS256")}))
    (tmp_path / "tied.json").write_text(key_set({"EdDSA": STRANGER}))
    bank.secret = make_secret(tmp_path / "old.secret", old="refuse", entropy=bank.entropy)
    async with bank.open():
        bank.clock.at_ms += 1000  # past the fence of a list that was just made
        yield bank


def claims(bank: Bank, **changes: Any) -> dict[str, Any]:
    now = bank.clock.at_ms / 1000
    good = {"iss": "jot", "sub": "jot", "aud": bank.url, "jti": f"j{next(_JTI)}", "iat": now, "exp": now + 60}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(content: dict[str, Any], algorithm: str = "EdDSA", key: Any = None, **header: Any) -> str:
    headers = {"kid": "RS256" if algorithm == "PS256" else algorithm} | header
    headers = {name: value for name, value in headers.items() if value is not None}
    return jwt.encode(content, KEYS[algorithm] if key is None else key, algorithm=algorithm, headers=headers)


async def asserted(bank: Bank, assertion: str, leaf: Leaf | None = None, **changes: Any) -> Answer:
    form = {"client_id": None, "client_assertion": assertion, "client_assertion_type": JWT_BEARER}
    return await bank.token(leaf, form | changes)


def basic(bank: Bank, client: str = "old:client", secret: str | None = None) -> dict[str, str]:
    both = f"{quote_plus(client)}:{quote_plus(bank.secret if secret is None else secret)}"
    return {"Authorization": "Basic " + base64.b64encode(both.encode()).decode()}


async def with_secret(bank: Bank, **options: str) -> Answer:
    return await bank.token(None, {"client_id": None}, basic(bank, **options))


def content(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    found: dict[str, Any] = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
    return found


@pytest.mark.parametrize("algorithm", KEYS)
async def test_an_assertion_of_each_algorithm_gets_a_token(mixed: Bank, algorithm: str) -> None:
    found = content(await asserted(mixed, signed(claims(mixed), algorithm)))
    assert (found["sub"], found["client_id"], "cnf" in found) == ("jot", "jot", False)


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({}, {"kid": None}),  # the only key that goes with EdDSA
        ({}, {"typ": "client-authentication+jwt"}),
        ({}, {"typ": None}),
        ({"aud": ["https://issuer.bank.example"]}, {}),
        ({"aud": "https://issuer.bank.example/token"}, {}),
        ({"iat": None}, {}),
        ({"iat": None, "exp": 1_795_000_001.123 + 300}, {}),
    ],
)
async def test_what_foreign_clients_may_vary(mixed: Bank, changes: dict[str, Any], header: dict[str, Any]) -> None:
    if "iat" in changes:
        mixed.clock.at_ms += 300_000  # without iat only exp says how old it may be: see the fence below
        changes |= {"exp": changes["exp"] + 300} if "exp" in changes else {}
    assert (await asserted(mixed, signed(claims(mixed, **changes), **header))).status == 200


async def test_the_client_id_beside_the_assertion_must_be_the_same(mixed: Bank) -> None:
    assert (await asserted(mixed, signed(claims(mixed)), client_id="jot")).status == 200
    assert (await asserted(mixed, signed(claims(mixed)), client_id="tied")).error == (401, "invalid_client")


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"iss": "tied"}, {}),
        ({"iss": None}, {}),
        ({"aud": "https://other.example"}, {}),
        ({"aud": ["https://issuer.bank.example", "https://other.example"]}, {}),
        ({"aud": []}, {}),
        ({"aud": None}, {}),
        ({"aud": {"https://issuer.bank.example": 1}}, {}),
        ({"jti": None}, {}),
        ({"jti": ""}, {}),
        ({"jti": 7}, {}),
        ({"jti": "x" * 513}, {}),
        ({"exp": None}, {}),
        ({"exp": "soon"}, {}),
        ({}, {"exp": -3}),
        ({}, {"exp": 302}),
        ({}, {"iat": 2}),
        ({}, {"nbf": 2}),
        ({"iat": True}, {}),
        ({"nbf": "now"}, {}),
    ],
)
async def test_claims_that_are_not_for_us_now(mixed: Bank, changes: dict[str, Any], seconds: dict[str, int]) -> None:
    times = {name: mixed.clock.at_ms / 1000 + each for name, each in seconds.items()}
    assert (await asserted(mixed, signed(claims(mixed, **changes, **times)))).error == (401, "invalid_client")
    assert mixed.observer.tokens == []
    assert mixed.observer.failures == [("jot", False)]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [({"exp": 302}, "at most 300 seconds"), ({"iat": 2}, "lies ahead"), ({"exp": -3}, "past")],
)
async def test_who_signed_an_assertion_is_told_what_is_wrong_with_it(
    mixed: Bank, seconds: dict[str, int], said: str
) -> None:
    times = {name: mixed.clock.at_ms / 1000 + each for name, each in seconds.items()}
    assert said in (await asserted(mixed, signed(claims(mixed, **times)))).json["error_description"]
    forged = await asserted(mixed, signed(claims(mixed, **times), key=STRANGER))
    assert forged.json["error_description"] == "client authentication failed"


async def test_a_replayed_assertion(mixed: Bank) -> None:
    assertion = signed(claims(mixed))
    assert (await asserted(mixed, assertion)).status == 200
    replayed = await asserted(mixed, assertion)
    assert replayed.error == (401, "invalid_client")
    assert "used before" in replayed.json["error_description"]


async def test_a_jti_is_the_clients_own_and_burns_nobody_elses(mixed: Bank, authority: Authority) -> None:
    assert (await asserted(mixed, signed(claims(mixed, jti="same")))).status == 200
    other = signed(claims(mixed, jti="same", iss="tied", sub="tied"), key=STRANGER)
    assert (await asserted(mixed, other, authority.leaf("any"))).status == 200


async def test_a_refused_assertion_is_not_used_up(mixed: Bank) -> None:
    """Whoever spoils a copy of it burns nothing: the first use comes after everything else held."""
    good = signed(claims(mixed, jti="kept"))
    for spoiled in (good[:-4] + "AAAA", signed(claims(mixed, jti="kept", aud="https://other.example"))):
        assert (await asserted(mixed, spoiled)).status == 401
    assert (await asserted(mixed, good)).status == 200


@pytest.mark.parametrize("changes", [{}, {"iat": None}])
async def test_an_assertion_from_before_the_lists_fence_is_told_to_sign_anew(
    tmp_path: Path, authority: Authority, changes: dict[str, Any]
) -> None:
    bank = Bank(tmp_path, authority, clients=CLIENTS + MORE, issuer_settings=SETTINGS).prepare()
    for name in ("jot", "tied"):
        (tmp_path / f"{name}.json").write_text(key_set({"EdDSA": KEYS["EdDSA"]}))
    make_secret(tmp_path / "old.secret", old="refuse", entropy=bank.entropy)
    async with bank.open():
        answer = await asserted(bank, signed(claims(bank, **changes)))
    assert answer.error == (401, "invalid_client")
    assert "sign a new one" in answer.json["error_description"]


async def test_alg_none(mixed: Bank) -> None:
    unsigned = jwt.encode(claims(mixed), "", algorithm="none", headers={"kid": "EdDSA"})
    assert (await asserted(mixed, unsigned + "AAAA")).error == (401, "invalid_client")
    assert (await asserted(mixed, unsigned)).error == (401, "invalid_client")


async def test_a_public_key_taken_for_an_hmac_secret(mixed: Bank) -> None:
    raw = KEYS["EdDSA"].public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    forged = jwt.encode(claims(mixed), raw, algorithm="HS256", headers={"kid": "EdDSA"})
    assert (await asserted(mixed, forged)).error == (401, "invalid_client")


@pytest.mark.parametrize("header", [{"kid": "nobody"}, {"kid": "ES256"}, {"kid": "EdDSA"}, {"kid": None}])
async def test_the_key_of_another_client(mixed: Bank, header: dict[str, Any]) -> None:
    forged = signed(claims(mixed), key=STRANGER, **header)
    assert (await asserted(mixed, forged)).error == (401, "invalid_client")


async def test_a_key_that_the_assertion_brings_along(mixed: Bank) -> None:
    own = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(STRANGER.public_key()))
    forged = signed(claims(mixed), key=STRANGER, jwk=own, jku="https://evil.example/jwks")
    assert (await asserted(mixed, forged)).error == (401, "invalid_client")


@pytest.mark.parametrize("type_", ["ott+jwt", "at+jwt", "dpop+jwt"])
async def test_a_token_of_another_kind_is_no_assertion(mixed: Bank, type_: str) -> None:
    assert (await asserted(mixed, signed(claims(mixed), typ=type_))).error == (401, "invalid_client")


@pytest.mark.parametrize(
    "changes",
    [
        {"client_assertion": "x.y.z"},
        {"client_assertion": "nonsense"},
        {"client_assertion": "a" * 9000},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
    ],
)
async def test_what_is_no_assertion(mixed: Bank, changes: dict[str, Any]) -> None:
    answer = await asserted(mixed, signed(claims(mixed)), **changes)
    assert answer.error == (401, "invalid_client")


async def test_no_refusal_tells_whether_there_is_such_a_client(mixed: Bank, rgs: Leaf) -> None:
    nobodys = signed(claims(mixed, iss="nobody", sub="nobody"))
    certificates = signed(claims(mixed, iss="rgs", sub="rgs"))
    secrets = signed(claims(mixed, iss="old:client", sub="old:client"))
    wrong = signed(claims(mixed), key=STRANGER)
    answers = [await asserted(mixed, each) for each in (nobodys, certificates, secrets, wrong)]
    answers += [await mixed.token(rgs, {"client_id": client}) for client in ("jot", "old:client", "nobody")]
    assert {(answer.status, answer.body) for answer in answers} == {(401, answers[0].body)}


async def test_a_token_is_bound_to_the_certificate_beside_the_assertion_and_has_the_clients_name(
    mixed: Bank, rgs: Leaf
) -> None:
    """The certificate of another client proves that its key is there; it does not make this client that other one."""
    found = content(await asserted(mixed, signed(claims(mixed, iss="tied", sub="tied"), key=STRANGER), rgs))
    assert (found["sub"], found["client_id"], found["cnf"]) == ("tied", "tied", {"x5t#S256": encoded(rgs.sha256)})


async def test_a_token_bound_to_nothing_is_for_those_who_accept_the_risk(mixed: Bank) -> None:
    answer = await asserted(mixed, signed(claims(mixed, iss="tied", sub="tied"), key=STRANGER))
    assert answer.error == (400, "invalid_request")
    assert mixed.observer.refusals == [("tied", "invalid_request")]


async def test_a_secret(mixed: Bank) -> None:
    found = content(await with_secret(mixed))
    assert (found["sub"], found["client_id"]) == ("old:client", "old:client")


@pytest.mark.parametrize(
    "options",
    [
        {"secret": "ott_" + "A" * 43},
        {"secret": ""},
        {"secret": "hunter2"},
        {"client": "nobody"},
        {"client": "rgs"},
        {"client": "jot"},
        {"client": "old"},
    ],
)
async def test_a_wrong_secret_and_a_wrong_client_look_alike(mixed: Bank, options: dict[str, str]) -> None:
    answer = await with_secret(mixed, **options)
    assert answer.error == (401, "invalid_client")
    assert answer.json["error_description"] == "client authentication failed"
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="token endpoint", charset="UTF-8"'


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic YQ", "Basic YQ==", "basic =", "Basic JXg6eQ=="])
async def test_malformed_basic(mixed: Bank, header: str) -> None:
    answer = await mixed.token(None, {"client_id": None}, {"Authorization": header})
    assert answer.error == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("header", ["Bearer x", "DPoP x", "Digest x", ""])
async def test_other_schemes_authenticate_no_client(mixed: Bank, rgs: Leaf, header: str) -> None:
    assert (await mixed.token(rgs, headers={"Authorization": header})).error == (400, "invalid_request")


async def test_a_client_id_beside_basic_must_be_the_same(mixed: Bank) -> None:
    assert (await mixed.token(None, {"client_id": "old:client"}, basic(mixed))).status == 200
    assert (await mixed.token(None, {"client_id": "rgs"}, basic(mixed))).error == (401, "invalid_client")


async def test_the_secret_in_the_form(mixed: Bank, rgs: Leaf) -> None:
    form = {"client_id": "old:client", "client_secret": mixed.secret}
    assert (await mixed.token(None, form)).error == (401, "invalid_client")
    assert (await mixed.token(rgs, form)).error == (400, "invalid_request")


async def test_two_authentications_at_once(mixed: Bank) -> None:
    assertion = {"client_id": None, "client_assertion": signed(claims(mixed)), "client_assertion_type": JWT_BEARER}
    secret = {"client_secret": mixed.secret}
    for form, headers in ((assertion, basic(mixed)), (secret, basic(mixed)), (assertion | secret, {})):
        assert (await mixed.token(None, form, headers)).error == (400, "invalid_request")
    assert (await mixed.token(None, assertion)).status == 200  # it was not used up by the refusal
    for half in ("client_assertion", "client_assertion_type"):
        assert (await mixed.token(None, assertion | {half: None})).error == (400, "invalid_request")


async def test_no_authentication_at_all(mixed: Bank) -> None:
    answer = await mixed.token(None)
    assert answer.error == (401, "invalid_client")
    assert "WWW-Authenticate" not in answer.headers


async def test_a_store_that_is_down_is_told_as_such_and_nothing_is_minted(
    mixed: Bank, tmp_path: Path, authority: Authority
) -> None:
    (tmp_path / "down").mkdir()
    bank = Bank(tmp_path / "down", authority, clients=CLIENTS + MORE, issuer_settings=SETTINGS).prepare()
    for name in ("jot.json", "tied.json", "old.secret"):
        (bank.folder / name).write_text((tmp_path / name).read_text())
    (bank.folder / "old.secret").chmod(0o600)
    with (bank.folder / "ott.yaml").open("a") as file:
        file.write("store: redis://127.0.0.1:1\n")
    async with bank.open():
        bank.clock.at_ms += 1000
        answer = await asserted(bank, signed(claims(bank)))
        rgs = authority.leaf("rgs", uris=(RGS,))
        assert (await bank.token(rgs)).status == 200  # whoever needs no store is served
    assert answer.error == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert all(fault.startswith("used_list_") for fault in bank.observer.faults)
    assert bank.observer.faults
    assert bank.observer.failures == []


async def test_too_many_failures_wait_and_nothing_is_looked_at(mixed: Bank) -> None:
    good = signed(claims(mixed))
    for _ in range(5):
        assert (await asserted(mixed, signed(claims(mixed), key=STRANGER))).status == 401
    mixed.clock.at_ms += 10_000
    answer = await asserted(mixed, good)
    assert answer.error == (429, "slow_down")
    assert answer.headers["Retry-After"] == "20"
    assert mixed.observer.failures == [("jot", False)] * 5 + [("jot", True)]
    mixed.clock.at_ms += 20_000
    assert (await asserted(mixed, good)).status == 200


async def test_who_only_knows_its_name_locks_no_client_out(mixed: Bank, rgs: Leaf, authority: Authority) -> None:
    """Other certificates, no certificate, assertions and secrets in its name: it goes on with its own."""
    attacker = authority.leaf("batch", dns=("batch.bank.example",))
    for _ in range(6):
        await mixed.token(attacker)
        await mixed.token(None)
        await with_secret(mixed, client="rgs")
        await asserted(mixed, signed(claims(mixed, iss="rgs", sub="rgs")))
    assert (await mixed.token(attacker)).error == (429, "slow_down")
    assert (await mixed.token(rgs)).status == 200
    # And the attacker's own client is as good as before: it failed as another.
    assert (await mixed.token(attacker, {"client_id": "batch", "resource": "ledger.api"})).status == 200


async def test_inventing_clients_is_no_way_around_the_limit(mixed: Bank) -> None:
    answers = [await with_secret(mixed, client=f"invented{number}") for number in range(6)]
    assert [answer.status for answer in answers] == [401] * 5 + [429]
    assert (await with_secret(mixed)).status == 200


def test_secrets_do_not_start_unless_switched_on(tmp_path: Path, authority: Authority) -> None:
    bank = Bank(tmp_path, authority, clients=CLIENTS + MORE).prepare()
    with pytest.raises(DocumentError) as caught:
        bank.inputs()
    said = str(caught.value)
    assert "issuer.client_secret_basic: required" in said
    assert all(f"{name}: cannot be read" in said for name in ("jot.json", "tied.json", "old.secret"))


def test_a_secret_that_others_can_read_or_that_stands_there_in_clear(tmp_path: Path, authority: Authority) -> None:
    bank = Bank(tmp_path, authority, clients=CLIENTS + MORE, issuer_settings=SETTINGS).prepare()
    (tmp_path / "old.secret").write_text("hunter2\n")
    with pytest.raises(DocumentError, match="no hash of a secret") as caught:
        bank.inputs()
    assert "hunter2" not in str(caught.value)
    make_secret(tmp_path / "old.secret", old="replace", entropy=bank.entropy)
    (tmp_path / "old.secret").chmod(0o644)
    with pytest.raises(DocumentError, match="a secret readable by all"):
        bank.inputs()
