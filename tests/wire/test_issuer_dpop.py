"""DPoP at the token endpoint over real HTTPS: proofs bind, once, with our nonce (RFC 9449 §5, §8)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from multidict import CIMultiDict

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.documents.problems import DocumentError
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.proofs import Prover
from tests.issuer_bank import CLIENTS, FORM, Answer, Bank

PROVER = Prover("Ed25519")
PAST_THE_FENCE_MS = 10_000
"""A list that just started vouches for nothing that may be older; see Retry-After below."""


@pytest.fixture
async def running(bank: Bank) -> Bank:
    bank.clock.at_ms += PAST_THE_FENCE_MS
    return bank


async def sent(bank: Bank, leaf: Leaf, /, **changes: Any) -> Answer:
    return await bank.token(leaf, headers={"DPoP": PROVER.proof(bank.clock.at_ms, **changes)})


async def nonce_of(bank: Bank, leaf: Leaf) -> str:
    return (await sent(bank, leaf)).headers["DPoP-Nonce"]


async def test_without_a_nonce_one_is_given_and_with_it_the_token_is_bound(running: Bank, rgs: Leaf) -> None:
    first = await sent(running, rgs)
    assert first.error == (400, "use_dpop_nonce")
    assert running.observer.refusals == [("rgs", "use_dpop_nonce")]
    answer = await sent(running, rgs, nonce=first.headers["DPoP-Nonce"])
    assert (answer.status, answer.json["token_type"]) == (200, "DPoP")
    assert "DPoP-Nonce" not in answer.headers
    claims = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
    assert claims["cnf"] == {"jkt": encoded(PROVER.jkt), "x5t#S256": encoded(rgs.sha256)}


async def test_without_a_proof_the_token_has_no_jkt(running: Bank, rgs: Leaf) -> None:
    answer = await running.token(rgs)
    assert (answer.json["token_type"], "DPoP-Nonce" in answer.headers) == ("Bearer", False)
    claims = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
    assert set(claims["cnf"]) == {"x5t#S256"}


async def test_a_replayed_proof(running: Bank, rgs: Leaf) -> None:
    header = {"DPoP": PROVER.proof(running.clock.at_ms, nonce=await nonce_of(running, rgs))}
    assert (await running.token(rgs, headers=header)).status == 200
    answers = await asyncio.gather(*(running.token(rgs, headers=header) for _ in range(4)))
    assert [answer.error for answer in answers] == [(400, "invalid_dpop_proof")] * 4


async def test_of_one_proof_sent_many_times_at_once_one_is_first(running: Bank, rgs: Leaf) -> None:
    header = {"DPoP": PROVER.proof(running.clock.at_ms, nonce=await nonce_of(running, rgs))}
    answers = await asyncio.gather(*(running.token(rgs, headers=header) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400, 400]


@pytest.mark.parametrize(
    "changes",
    [
        {"htm": "GET"},
        {"htu": "https://issuer.bank.example/introspect"},
        {"htu": "https://127.0.0.1/token"},
        {"iat": 1},
        {"jti": None},
        {"header": {"typ": "JWT"}},
        {"header": {"jwk": Prover("Ed25519").public}},
        {"header": {"jwk": PROVER.key.as_dict(private=True)}},
    ],
)
async def test_a_proof_that_does_not_hold(running: Bank, rgs: Leaf, changes: dict[str, Any]) -> None:
    answer = await sent(running, rgs, nonce=await nonce_of(running, rgs), **changes)
    assert answer.error == (400, "invalid_dpop_proof")
    assert "DPoP-Nonce" not in answer.headers


async def test_two_dpop_headers(running: Bank, rgs: Leaf) -> None:
    nonce = await nonce_of(running, rgs)
    proofs = [("DPoP", PROVER.proof(running.clock.at_ms, nonce=nonce)) for _ in range(2)]
    for headers in (CIMultiDict(proofs), CIMultiDict({"DPoP": ", ".join(proof for _, proof in proofs)})):
        answer = await running.request("POST", "/token", rgs, data=FORM, headers=headers)
        assert answer.error == (400, "invalid_dpop_proof")
    assert (await running.request("POST", "/token", rgs, data=FORM, headers=CIMultiDict(proofs[:1]))).status == 200


async def test_a_nonce_that_runs_out_is_followed_by_the_next_on_any_answer(running: Bank, rgs: Leaf) -> None:
    nonce = await nonce_of(running, rgs)
    running.clock.at_ms += 60_000
    answer = await sent(running, rgs, nonce=nonce)
    assert (answer.status, answer.headers["DPoP-Nonce"] != nonce) == (200, True)
    header = {"DPoP": PROVER.proof(running.clock.at_ms, nonce=nonce)}
    refused = await running.token(rgs, {"scope": "wallet:admin"}, header)
    assert refused.error == (400, "invalid_scope")
    assert refused.headers["DPoP-Nonce"] == answer.headers["DPoP-Nonce"]
    running.clock.at_ms += 60_000
    assert (await sent(running, rgs, nonce=nonce)).error == (400, "use_dpop_nonce")


async def test_who_is_not_authenticated_gets_no_nonce(running: Bank, authority: Authority) -> None:
    answer = await sent(running, authority.leaf("thief", dns=("thief.example",)))
    assert answer.error == (401, "invalid_client")
    assert "DPoP-Nonce" not in answer.headers


async def test_just_started_it_vouches_for_no_proof_and_says_when(bank: Bank, rgs: Leaf) -> None:
    answer = await sent(bank, rgs, nonce=await nonce_of(bank, rgs))
    assert answer.error == (503, "temporarily_unavailable")
    bank.clock.at_ms += int(answer.headers["Retry-After"]) * 1000
    assert (await sent(bank, rgs, nonce=await nonce_of(bank, rgs))).status == 200


@pytest.fixture
async def strict(tmp_path: Path, authority: Authority) -> AsyncIterator[Bank]:
    """Every token of `rgs` is bound to a key; no nonces; a proof is good for 5 s."""
    bank = Bank(tmp_path, authority).prepare()
    (tmp_path / "clients.yaml").write_text(CLIENTS.replace("client_id: rgs\n", "client_id: rgs\n    dpop: required\n"))
    settings = (tmp_path / "ott.yaml").read_text().replace("tls:", "dpop: {nonce: 'off', max_age: 5s, lead: 0s}, tls:")
    (tmp_path / "ott.yaml").write_text(settings)
    async with bank.open() as opened:
        opened.clock.at_ms += PAST_THE_FENCE_MS
        yield opened


async def test_a_client_that_must_prove_a_key_gets_no_token_without(strict: Bank, rgs: Leaf) -> None:
    assert (await strict.token(rgs)).error == (400, "invalid_dpop_proof")
    assert (await sent(strict, rgs)).json["token_type"] == "DPoP"


async def test_the_window_is_what_the_settings_say(strict: Bank, rgs: Leaf) -> None:
    now = strict.clock.at_ms / 1000
    assert (await sent(strict, rgs, iat=now - 4)).status == 200
    assert (await sent(strict, rgs, iat=now - 6)).error == (400, "invalid_dpop_proof")
    assert (await sent(strict, rgs, iat=now + 1)).error == (400, "invalid_dpop_proof")


async def test_issuers_that_share_a_secret_take_each_others_nonces(
    tmp_path: Path, authority: Authority, rgs: Leaf
) -> None:
    (tmp_path / "nonces").write_text("5" * 64)
    (tmp_path / "nonces").chmod(0o600)
    one, other = (Bank(tmp_path / name, authority) for name in ("one", "other"))
    for bank in (one, other):
        bank.folder.mkdir()
        bank.prepare()
        settings = (bank.folder / "ott.yaml").read_text()
        (bank.folder / "ott.yaml").write_text(settings.replace("tls:", "dpop: {nonce_secret: ../nonces}, tls:"))
    async with one.open(), other.open():
        for bank in (one, other):
            bank.clock.at_ms += PAST_THE_FENCE_MS
        assert (await sent(other, rgs, nonce=await nonce_of(one, rgs))).status == 200


async def test_issuers_that_share_none_do_not(tmp_path: Path, authority: Authority, rgs: Leaf, running: Bank) -> None:
    (tmp_path / "other").mkdir()
    async with Bank(tmp_path / "other", authority).prepare().open() as other:
        assert (await sent(running, rgs, nonce=await nonce_of(other, rgs))).error == (400, "use_dpop_nonce")


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [("5" * 31, 0o600, "shorter than 32"), ("5" * 64, 0o644, "readable by all"), (None, 0, "cannot be read")],
)
def test_a_secret_that_is_none_keeps_the_issuer_from_starting(
    tmp_path: Path, authority: Authority, content: str | None, mode: int, problem: str
) -> None:
    bank = Bank(tmp_path, authority).prepare()
    if content is not None:
        (tmp_path / "nonces").write_text(content)
        (tmp_path / "nonces").chmod(mode)
    settings = (tmp_path / "ott.yaml").read_text().replace("tls:", "dpop: {nonce_secret: nonces}, tls:")
    (tmp_path / "ott.yaml").write_text(settings)

    async def start() -> None:
        async with bank.open():
            raise AssertionError("it started")

    with pytest.raises(DocumentError, match=problem):
        asyncio.run(start())
