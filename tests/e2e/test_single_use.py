"""The promise: no token is ever accepted twice, whoever tries, and a refusal costs nothing."""

import asyncio
import ssl
from secrets import token_hex

import pytest

from tests.e2e.calling import request
from tests.e2e.conftest import rigs
from tests.e2e.rig import DEBIT, Rig

pytestmark = pytest.mark.e2e

CONCURRENT = 200


def test_a_call_without_a_token_is_refused_and_never_delivered(rig: Rig) -> None:
    answer = rig.call()
    assert answer.outcome == (401, "credential_missing")
    assert answer.deliveries == []


def test_a_good_token_passes_once_and_its_replay_is_refused(rig: Rig) -> None:
    """Deleting the spend from the Check makes this test fail: the second call would pass."""
    token = rig.good()
    first, second = rig.call(token=token), rig.call(token=token)
    assert first.status == 200
    assert first.delivery.target == DEBIT
    assert second.outcome == (401, "token_replayed")
    assert second.reply.code == "TOKEN_REPLAYED"
    assert second.reply.json["token_state"] == "spent"
    assert second.deliveries == []


def test_a_replay_on_another_route_method_or_path_is_still_a_replay(rig: Rig) -> None:
    token = rig.good()
    assert rig.call(token=token).status == 200
    for changes in (
        {"target": "/v1/wallets/other/debit"},
        {"target": "/files/a"},
        {"method": "GET", "target": "/v1/wallets/w"},
    ):
        assert rig.call(token=token, **changes).outcome == (401, "token_replayed")  # type: ignore[arg-type]


async def _race(port: int, context: ssl.SSLContext, raw: bytes) -> list[int]:
    """Open every connection first, then let all go at once."""
    opened = await asyncio.gather(
        *(
            asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
            for _ in range(CONCURRENT)
        )
    )
    for _, writer in opened:
        writer.write(raw)
    lines = await asyncio.gather(*(reader.readline() for reader, _ in opened))
    for _, writer in opened:
        writer.transport.abort()
    return [int(line.split(b" ")[1]) for line in lines]


async def test_two_hundred_concurrent_uses_of_one_token_are_one_200(rig: Rig) -> None:
    case, token = token_hex(8), rig.good()
    raw = request("POST", DEBIT, [("host", "wallet.api"), ("x-case", case), ("x-ott", token)])
    statuses = await _race(rig.ports["shipped"], rig.callers["rgs"].context, raw)
    assert statuses.count(200) == 1
    assert statuses.count(401) == CONCURRENT - 1
    assert len(rig.upstream.deliveries(case)) == 1


@pytest.mark.parametrize("rig", rigs("redis"), indirect=True)
async def test_two_worker_processes_spend_one_token_once_between_them(rig: Rig) -> None:
    assert len(rig.checks["xfcc"].addresses) == 2
    case, token = token_hex(8), rig.good()
    raw = request("POST", DEBIT, [("host", "wallet.api"), ("x-case", case), ("x-ott", token)])
    statuses = await _race(rig.ports["xfcc-SANITIZE_SET"], rig.callers["rgs"].context, raw)
    assert sorted(set(statuses)) == [200, 401]
    assert statuses.count(200) == len(rig.upstream.deliveries(case)) == 1
    assert all(count > CONCURRENT // 10 for count in rig.requests_per_host("xfcc"))


def test_the_metrics_count_the_replay(rig: Rig) -> None:
    def replays() -> float:
        lines = rig.checks["ott"].metrics().splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith('ott_replays_total{route="wallet-debit"}')
        )

    before, token = replays(), rig.good()
    rig.call(token=token)
    rig.call(token=token)
    assert replays() == before + 1


def test_the_audit_has_both_the_use_and_the_replay_and_never_the_token(rig: Rig) -> None:
    token = rig.good()
    used, replayed = rig.call(token=token), rig.call(token=token)
    used_id, replayed_id = used.delivery.header("x-ott-decision-id"), replayed.reply.header("x-ott-decision-id")
    assert used_id
    assert replayed_id
    first, second = rig.audit(used_id)
    assert (first["decision_id"], first["outcome"]) == (used_id, "allow")
    assert (second["decision_id"], second["reason"]) == (replayed_id, "token_replayed")
    assert (second["first_decision_id"], second["first_route"]) == (used_id, "wallet-debit")
    assert second["first_peer_certificate"] == first["peer_certificate"] is not None
    written = "".join(path.read_text(encoding="utf-8") for path in rig.folder.glob("audit-ott/**/*") if path.is_file())
    written += rig.checks["ott"].config.with_suffix(".log").read_text(encoding="utf-8")
    assert '"event": "token replayed"' in written
    assert token not in written
    assert token.rpartition(".")[2] not in written


@pytest.mark.parametrize("reason", ["thief", "wrong path", "wrong audience route", "missing scope route"])
def test_a_refused_call_does_not_cost_its_token(rig: Rig, reason: str) -> None:
    token = rig.good()
    refused = {
        "thief": lambda: rig.call(token=token, caller="thief"),
        "wrong path": lambda: rig.call(token=token, target="/v1/wallets/%2e%2e;/debit"),
        "wrong audience route": lambda: rig.call(token=token, host="ledger.api", target="/v1/entries"),
        "missing scope route": lambda: rig.call(token=token, target="/v1/step-up"),
    }[reason]()
    assert refused.status in (400, 401, 403)
    assert refused.reply.json.get("token_state") in (None, "unspent")
    assert rig.call(token=token).status == 200


def test_a_forged_copy_of_a_good_token_does_not_burn_it(rig: Rig) -> None:
    token = rig.good()
    head, payload, signature = token.split(".")
    forged = f"{head}.{payload}.{'A' * len(signature)}"
    assert rig.call(token=forged).outcome == (401, "token_signature_invalid")
    assert rig.call(token=token).status == 200


def test_two_check_servers_on_one_used_list_share_it(rig: Rig) -> None:
    """Over Redis a token spent at one server is spent at all; two memory lists know nothing of each other."""
    token = rig.good()
    assert rig.call(token=token).status == 200
    other = rig.call(listener="xfcc-SANITIZE_SET", token=token)
    assert other.outcome == ((401, "token_replayed") if rig.store == "redis" else (200, None))
