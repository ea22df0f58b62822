"""``clients.yaml`` changes under a running issuer: all of it or nothing, and whoever was taken out is out at once."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from ott_extauthz.bootstrap.client_secret_files import make_secret
from ott_extauthz.bootstrap.client_set import changes_between
from ott_extauthz.bootstrap.issuer_audit import issuer_audit
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.issuer_reloads import IssuerReloads
from ott_extauthz.observe.log import new_logger
from ott_extauthz.reload.source import Result
from tests.fakes.certificates import Authority, Leaf, self_signed
from tests.issuer_bank import CLIENTS, FORM, Bank

SECRET = """
  - client_id: old
    authentication: client_secret_basic
    secret: old.secret
    unbound: accept the risk
    audiences: {wallet.api: {scopes: ["wallet:debit"]}}
"""
ALONE = """
  - client_id: alone
    authentication: self_signed_tls_client_auth
    certificate_file: alone.pem
    audiences: {wallet.api: {scopes: ["wallet:debit"]}}
"""
SETTINGS = ", client_secret_basic: accept the risk, failure_limit: {failures: 3, within: 30s}"


def change(bank: Bank, text: str, result: Result) -> None:
    """Write the clients anew and have them looked at, as SIGHUP does."""
    (bank.folder / "clients.yaml").write_text(text)
    ask(bank, result)


def ask(bank: Bank, result: Result) -> None:
    source = bank.issuer.sources.clients.source
    assert source.reload()
    assert bank.reloaded.results[-1] == (str(bank.folder / "clients.yaml"), result)


@pytest.fixture
async def changing(tmp_path: Path, authority: Authority) -> AsyncIterator[Bank]:
    bank = Bank(tmp_path, authority, clients=CLIENTS + SECRET, issuer_settings=SETTINGS).prepare()
    bank.secret = make_secret(tmp_path / "old.secret", old="refuse", entropy=bank.entropy)
    async with bank.open():
        yield bank


async def basic(bank: Bank, secret: str) -> int:
    header = "Basic " + base64.b64encode(f"old:{secret}".encode()).decode()
    return (await bank.token(None, {"client_id": None}, {"Authorization": header})).status


async def test_a_client_that_is_taken_out_gets_nothing_more_on_the_connection_it_kept(
    changing: Bank, rgs: Leaf
) -> None:
    async with changing.session(rgs) as session:
        async with session.post("/token", data=FORM) as answer:
            assert answer.status == 200
        change(changing, CLIENTS.replace("client_id: rgs", "client_id: other"), Result.LOADED)
        async with session.post("/token", data=FORM) as answer:
            assert answer.status == 401
        async with session.post("/token", data=FORM | {"client_id": "other"}) as answer:
            assert answer.status == 200


async def test_a_narrowed_grant_counts_from_the_next_request(changing: Bank, rgs: Leaf) -> None:
    assert (await changing.token(rgs, {"scope": "wallet:read"})).status == 200
    change(changing, CLIENTS.replace(', "wallet:read"', ""), Result.LOADED)
    assert (await changing.token(rgs, {"scope": "wallet:read"})).error == (400, "invalid_scope")


@pytest.mark.parametrize(
    "text",
    [
        "clients: []",
        "",
        CLIENTS.replace("wallet:debit", "wallet debit"),
        CLIENTS + SECRET.replace("old.secret", "none.secret"),
        CLIENTS + ALONE,
        CLIENTS.replace("lifetime: 45500ms", "lifetime: 45500ms, ring: none"),
    ],
    ids=["no client", "empty", "a scope with a space", "no such secret", "no such certificate", "no such ring"],
)
async def test_a_bad_change_keeps_everything_that_was_in_force_and_is_told(
    changing: Bank, rgs: Leaf, text: str
) -> None:
    change(changing, text, Result.REFUSED)
    assert (await changing.token(rgs)).status == 200
    assert await basic(changing, changing.secret) == 200
    assert any("a change was refused" in line for line in (await changing.issuer.readiness())[1])
    change(changing, CLIENTS, Result.LOADED)
    assert not any("refused" in line for line in (await changing.issuer.readiness())[1])


async def test_a_secret_that_was_replaced_is_worth_nothing(changing: Bank) -> None:
    new = make_secret(changing.folder / "old.secret", old="replace", entropy=changing.entropy)
    ask(changing, Result.LOADED)
    assert await basic(changing, changing.secret) == 401
    assert await basic(changing, new) == 200


async def test_a_change_forgives_nobody_who_failed_too_often(changing: Bank) -> None:
    assert [await basic(changing, "guess") for _ in range(3)] == [401] * 3
    change(changing, (CLIENTS + SECRET).replace("45500ms", "45s"), Result.LOADED)
    assert await basic(changing, changing.secret) == 429


async def test_a_clients_file_that_everybody_may_write_is_not_taken(changing: Bank, rgs: Leaf) -> None:
    (changing.folder / "clients.yaml").chmod(0o666)
    change(changing, CLIENTS.replace("client_id: rgs", "client_id: other"), Result.REFUSED)
    assert (await changing.token(rgs)).status == 200


async def test_a_self_signed_certificate_is_listed_replaced_and_taken_out(changing: Bank) -> None:
    first, second = self_signed("alone"), self_signed("alone")
    path = changing.folder / "alone.pem"
    path.write_bytes(first.pem)
    change(changing, CLIENTS + ALONE, Result.LOADED)
    assert (await changing.token(first, {"client_id": "alone"})).status == 200
    path.write_bytes(second.pem)
    ask(changing, Result.LOADED)
    assert (await changing.token(second, {"client_id": "alone"})).status == 200
    for refused in (first, second):
        if refused is second:
            change(changing, CLIENTS, Result.LOADED)
        with pytest.raises((aiohttp.ClientError, OSError)):  # TLS knows it no longer
            await changing.token(refused, {"client_id": "alone"})


async def test_changes_are_in_audit_log_and_metrics_by_name_and_nothing_of_a_secret_is(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = Bank(tmp_path, authority, clients=CLIENTS + SECRET, issuer_settings=SETTINGS).prepare()
    make_secret(tmp_path / "old.secret", old="refuse", entropy=bank.entropy)
    with (tmp_path / "ott.yaml").open("a") as file:
        file.write("audit: {path: audit}\n")
    metrics = IssuerMetrics(bank.clock.now_ms)
    audit = issuer_audit(bank.settings, counts=metrics, clock=bank.clock, source="ott.yaml")
    bank.listener = IssuerReloads(new_logger("info"), metrics, audit, changes_between)
    async with bank.open():
        make_secret(tmp_path / "old.secret", old="replace", entropy=bank.entropy)
        source = bank.issuer.sources.clients.source
        (tmp_path / "clients.yaml").write_text((CLIENTS + SECRET).replace("client_id: batch", "client_id: bulk"))
        assert source.reload()
        (tmp_path / "clients.yaml").write_text("clients: []\n")
        assert source.reload()
    audit.close()
    (line,) = map(json.loads, next((tmp_path / "audit").iterdir()).read_text().splitlines())
    assert (line["event"], line["added"], line["removed"], line["changed"]) == (
        "clients_changed", ["bulk"], ["batch"], ["old"],
    )  # fmt: skip
    logged = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert [each["event"] for each in logged][:2] == ["reloaded", "change refused, what was in force stays"]
    assert logged[0]["added"] == ["bulk"]
    shown = exposition(metrics.registry)[0].decode()
    assert 'ott_issuer_reloads_total{result="loaded"} 1.0' in shown
    assert 'ott_issuer_reloads_total{result="refused"} 1.0' in shown
    assert (tmp_path / "old.secret").read_text().strip() not in shown + json.dumps(logged) + json.dumps(line)
