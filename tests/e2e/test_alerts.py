"""A real Prometheus scrapes a running server and Envoy, and the alerts fire when their causes are provoked."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ott_extauthz.demo.ports import free_ports
from tests.alerts.live import watched
from tests.alerts.rules import alerts, metrics_in
from tests.e2e.conftest import rigs
from tests.e2e.policies import RGS
from tests.e2e.rig import SERVER_TLS, VICTIM, Rig
from tests.e2e.servers import SELF, Server, answers, fetched, wait_until
from tests.prometheus import promtool

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("rig", rigs("redis")[:1], indirect=True)]

PROVOKED = {"OttStoreUnsafe", "OttEnvoyFailsOpen", "OttNotScraped"}
EVICTING = ("maxmemory", "1gb", "maxmemory-policy", "allkeys-lru")
NOT_EVICTING = ("maxmemory", "0", "maxmemory-policy", "noeviction")


async def test_what_no_drill_provokes_fires_too_and_prometheus_keeps_the_exemplars(rig: Rig, tmp_path: Path) -> None:
    """What a drill names fires in test_drills.py."""
    victim, store = rig.victim(), rig.victim_store
    assert store is not None
    ott = [f"127.0.0.1:{rig.checks[VICTIM].admin}"]
    async with watched(tmp_path, ott=ott, envoy=rig.admin) as watch:
        assert not await watch.until_quiet() & PROVOKED, "nothing has happened yet"
        trace = token_hex(16)
        sampled = [("traceparent", f"00-{trace}-{token_hex(8)}-01")]
        assert rig.call(listener=VICTIM, token=rig.good(), headers=sampled).status == 200

        store.command("CONFIG", "SET", *EVICTING)
        try:
            assert await watch.fire("OttStoreUnsafe")
        finally:
            store.command("CONFIG", "SET", *NOT_EVICTING)
        kept = await watch.prometheus.exemplars("ott_check_seconds_bucket")
        assert [each["labels"] for each in kept].count({"trace_id": trace}) == 1

        victim.kill()
        for _ in range(3):
            assert rig.call(listener="fail-open", token=rig.good()).status == 200
        assert await watch.fire("OttEnvoyFailsOpen", "OttNotScraped"), await watch.fired()


def test_workers_show_one_sum_and_their_exemplars(rig: Rig) -> None:
    """Two processes behind one address for Prometheus: nothing is counted by one of them alone."""
    trace, route = token_hex(16), "wallet-debit"
    before = _count(rig, route)
    for _ in range(6):
        sampled = [("traceparent", f"00-{trace}-{token_hex(8)}-01")]
        assert rig.call(listener="xfcc-SANITIZE_SET", token=rig.good(), headers=sampled).status == 200
    assert _count(rig, route) - before == 6
    server = rig.checks["xfcc"]
    wait_until(lambda: f'trace_id="{trace}"' in server.metrics(openmetrics=True), lambda: "no exemplar", 10)
    text = server.metrics(openmetrics=True)
    assert text.endswith("# EOF\n")
    assert list(text_string_to_metric_families(text)), "OpenMetrics to the letter"  # type: ignore[no-untyped-call]
    assert "trace_id" not in server.metrics()
    place = re.search(r'ott_store_server_state{server="([^"]+)",state="whole"} 2\.0', text)
    assert place is not None, "both workers find the store whole"
    for line in ("ott_store_ready 1.0", 'ott_workers{serving="yes"} 2.0', 'ott_refused_changes{what="partners"} 0.0'):
        assert f"\n{line}\n" in text
    assert re.search(r"\nott_store_fence_timestamp_seconds 1\.[0-9]+e\+09\n", text)


def _count(rig: Rig, route: str) -> float:
    labels = f'ott_checks_total{{code="OK",outcome="allow",route="{route}"}} '
    lines = rig.checks["xfcc"].metrics().splitlines()
    return sum(float(line.removeprefix(labels)) for line in lines if line.startswith(labels))


def test_every_metric_of_the_alerts_is_there_to_be_scraped(rig: Rig) -> None:
    """Of a running server with workers, of one without, of an issuer, and of Envoy 1.40; promtool has no complaint."""
    with _issuer(rig.folder / "issuing") as issuer:
        ours = [rig.checks["xfcc"].metrics(), rig.checks["ott"].metrics(), fetched(issuer)]
    envoy = fetched(f"http://{rig.admin}/stats/prometheus")
    for text in ours:
        code, told = promtool("check", "metrics", text=text)
        assert code == 0, told
    names = set(re.findall(r"^# TYPE (\w+)", "\n".join([*ours, envoy]), re.MULTILINE))
    names |= {f"{name}_bucket" for name in names}
    assert {metric for rule in alerts().values() for metric in metrics_in(rule["expr"])} - names == set()


@contextmanager
def _issuer(folder: Path) -> Iterator[str]:
    """Run an issuer as an operator does; yields where its metrics are."""
    folder.mkdir()
    listen, admin = free_ports(2)
    entry = {"client_id": "rgs", "authentication": "tls_client_auth", "certificate": {"spiffe_id": RGS}}
    (folder / "clients.yaml").write_text(
        json.dumps({"clients": [entry | {"audiences": {"wallet.api": {"scopes": ["wallet:debit"]}}}]})
    )
    settings = {
        "url": "https://issuer.bank.example",
        "listen": f"127.0.0.1:{listen}",
        "admin": f"127.0.0.1:{admin}",
        "tls": {name: f"../tls/{file}" for name, file in SERVER_TLS.items()},
    }
    (folder / "ott.yaml").write_text(json.dumps({"issuer": settings}))
    subprocess.run([*SELF, "keys", "init", "-c", folder / "ott.yaml"], check=True, capture_output=True)
    with Server("issuer", [*SELF, "issue", "-c", folder / "ott.yaml"], folder) as server:
        url = f"http://127.0.0.1:{admin}"

        def is_up() -> bool:
            assert server.process.poll() is None, server.told()
            return answers(f"{url}/readyz")

        wait_until(is_up, server.told)
        yield f"{url}/metrics"
