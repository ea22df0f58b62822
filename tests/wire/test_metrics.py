"""What a served Check, and a served token request, leave in the metrics; labels stay in their lists."""

from itertools import product
from pathlib import Path

import grpc.aio
import pytest
from aiohttp.test_utils import TestClient, TestServer

from ott_extauthz.demo.pki import Authority
from ott_extauthz.issuer.oauth_error import OAuthErrorCode
from ott_extauthz.observe.departures import KEPT_SECONDS
from ott_extauthz.observe.issuer_log import IssuerLog
from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.left_out import LeftOut
from ott_extauthz.observe.listeners import IssuerListeners
from ott_extauthz.observe.log import new_logger
from ott_extauthz.wire.admin_http import Admin, admin_app
from tests.fakes import certificates
from tests.fakes.issuer import FakeIssuer
from tests.issuer_bank import Bank
from tests.wire.conftest import POLICY, Configure, Desk, served

STEPS = {"decode", "route", "credential", "verify", "bind", "authorize", "spend", "allow", "encode"}
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_the_time_in_each_step_is_there_for_whoever_asks_for_it(
    configured: Configure, tmp_path: Path, transport: str
) -> None:
    settings = configured(transport, "metrics: {steps: true}\nregion: EU\n")
    identity = Authority("test").issue("rgs", uri="spiffe://bank.example/rgs")
    path = f"{tmp_path}/check.sock"
    async with served(settings, f"unix://{path}") as app, grpc.aio.insecure_channel(f"unix:{path}") as channel:
        desk = Desk(app, channel, FakeIssuer(), identity)
        value = app.metrics.registry.get_sample_value
        while (await desk.check(desk.request(("x-ott", desk.token())))).status.code:
            pass  # until past the fence of a list that was just made
        seen = {step for step in STEPS if value("ott_check_step_seconds_count", {"step": step})}
        assert seen == STEPS
        labels = {"client": "other", "region": "EU", "outcome": "allow"}  # no file of this server names any client
        assert value("ott_client_checks_total", labels) == 1
        assert (value("ott_check_seconds_left_count") or 0) >= 1
        assert value("ott_check_seconds_left_bucket", {"le": "0.5"}) == 0, "the client gave it five seconds"


async def test_without_the_setting_no_step_is_timed(desk: Desk) -> None:
    await desk.check(desk.request(("x-ott", desk.token())))
    assert "ott_check_step_seconds" not in desk.app.metrics_text("")[0].decode()


async def test_a_forged_certificate_header_is_counted_also_where_no_route_asks_for_one(desk: Desk) -> None:
    forged = ("x-forwarded-client-cert", f"Hash={'ab' * 32}")
    await desk.check(desk.request(forged, method="GET", path="/healthz"))
    assert desk.app.metrics.registry.get_sample_value("ott_certificate_conflicts_total") == 1


async def test_the_store_shows_before_the_first_call(desk: Desk) -> None:
    value = desk.app.metrics.registry.get_sample_value
    assert value("ott_store_ready") == 1
    assert value("ott_store_server_state", {"server": "memory", "state": "whole"}) == 1
    assert (value("ott_store_fence_timestamp_seconds") or 0) > 1_700_000_000


async def test_a_route_that_a_reload_took_away_is_scraped_a_while_longer(desk: Desk, tmp_path: Path) -> None:
    now = desk.app.departures._monotonic()
    desk.app.departures._monotonic = lambda: now
    await desk.check(desk.request(method="GET", path="/healthz"))
    (tmp_path / "policy.yaml").write_text(POLICY.replace("name: health", "name: alive"))
    assert desk.app.sources.policy.reload()
    await desk.check(desk.request(method="GET", path="/healthz"))
    named = [b'route="health"', b'route="alive"', b'route="wallet-debit"']
    assert all(name in desk.app.metrics_text("")[0] for name in named)
    now += KEPT_SECONDS
    assert [name in desk.app.metrics_text("")[0] for name in named] == [False, True, True]


async def test_a_scraper_gets_the_format_that_it_asks_for(desk: Desk) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    await desk.check(desk.request(("traceparent", f"00-{trace}-00f067aa0ba902b7-01")))
    admin = Admin(metrics=desk.app.metrics_text, readiness=desk.app.readiness)
    async with TestClient(TestServer(admin_app(admin))) as client:
        for accept, kind, has_exemplar in (
            (OPENMETRICS, "application/openmetrics-text", True),
            ("", "text/plain", False),
        ):
            answer = await client.get("/metrics", headers={"accept": accept})
            assert answer.content_type == kind
            assert (trace in await answer.text()) == has_exemplar


async def test_whatever_token_requests_say_adds_no_label_value(
    tmp_path: Path, authority: certificates.Authority
) -> None:
    bank = Bank(tmp_path, authority).prepare()
    metrics = IssuerMetrics(bank.clock.now_ms)
    bank.listening = IssuerListeners(metrics, IssuerLog(new_logger("error")), on_broken=metrics.faulted)
    leaves = [
        None,
        authority.leaf("rgs", uris=("spiffe://bank.example/rgs",)),
        authority.leaf("x", uris=("spiffe://x/y",)),
    ]
    async with bank.open():
        for number, (client, resource, leaf) in enumerate(
            product(["rgs", "?", None], ["wallet.api", "?", None], leaves)
        ):
            word = f"w{number}"
            changes = {"client_id": client, "resource": resource, "scope": word if number % 2 else None, word: word}
            await bank.token(leaf, {name: word if value == "?" else value for name, value in changes.items()})
    allowed: dict[str, set[str]] = {
        "client": {"rgs", "batch", "unknown"}, "error": set(OAuthErrorCode), "audience": {"wallet.api", "ledger.api"},
        "limited": {"true", "false"}, "what": set(LeftOut),
    }  # fmt: skip
    labels = [pair for family in metrics.registry.collect() for one in family.samples for pair in one.labels.items()]
    assert {"client", "error"} <= {name for name, _ in labels}
    assert [(name, value) for name, value in labels if value not in allowed.get(name, {value})] == []
    assert set(dict(labels)) <= {*allowed, "type", "ring", "kid", "state", "server", "result", "issuer"}
