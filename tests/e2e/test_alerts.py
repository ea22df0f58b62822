"""A real Prometheus scrapes a running server and Envoy, and the alerts fire when their causes are provoked."""

import asyncio
import json
import re
import resource
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ott_extauthz.demo.ports import free_ports
from tests.alerts.rules import ALERTS, alerts, metrics_in, shortened
from tests.e2e.conftest import rigs
from tests.e2e.forge import now
from tests.e2e.policies import RGS
from tests.e2e.rig import SERVER_TLS, VICTIM, Rig
from tests.e2e.servers import SELF, Server, answers, fetched, wait_until
from tests.prometheus import Prometheus, program, promtool, running

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("rig", rigs("redis")[:1], indirect=True)]

WITHIN = 60.0
SECONDS = 12
FROM_CALLERS = {
    "OttReplaySeen", "OttTokenOfAnother", "OttAuthFailureSurge", "OttUnknownKey", "OttExpiredShareGrowing",
    "OttClientDeniedMore", "OttChangeRefused",
}  # fmt: skip


class Watch:
    """Remembers which alerts fired, with what Prometheus says of them."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self.seen: set[str] = set()

    async def until(self, *alerts: str) -> None:
        """Wait until all of them have fired."""
        deadline = asyncio.get_running_loop().time() + WITHIN
        while not self.seen.issuperset(alerts):
            assert asyncio.get_running_loop().time() < deadline, sorted(set(alerts) - self.seen)
            for alert in await self._prometheus.alerts():
                told = " ".join(alert["annotations"].values())
                assert "no value" not in told, told
                assert "error expanding" not in told, told
                self.seen.add(alert["labels"]["alertname"])
            await asyncio.sleep(0.2)


def _attack(rig: Rig, until: threading.Event) -> None:
    """Everything that a caller can do, over and over: a rate needs time."""
    forge = rig.forge
    while not until.is_set():
        token = rig.good()
        for sent in (token, token, *(rig.good(scope="x") for _ in range(8))):
            rig.call(listener=VICTIM, token=sent)
        rig.call(listener=VICTIM, token=rig.good(), caller="thief")
        for _ in range(4):
            rig.call(listener=VICTIM, token=forge.signed(forge.claims(), {"kid": token_hex(4)}))
        rig.call(listener=VICTIM, token=rig.good(iat=now() - 90, exp=now() - 60))


@contextmanager
def _attacking(rig: Rig) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=_attack, args=(rig, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _no_room_to_write(pid: int) -> Iterator[None]:
    """Let a process write to no file beyond its first byte, as on a disk that is full."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


async def _scraped(prometheus: Prometheus, *jobs: str) -> None:
    while not all([await prometheus.is_scraped(job) for job in jobs]):  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.1)


@pytest.mark.timeout(300)
async def test_the_alerts_fire_when_they_are_provoked(rig: Rig, tmp_path: Path) -> None:
    program("prometheus")
    if rig._victim is not None:
        rig._victim.kill()  # what other cases had it count would look new to a Prometheus that has just begun
    victim, store = rig.victim(), rig.victim_store
    assert store is not None
    rules = tmp_path / "alerts.yaml"
    rules.write_text(shortened(ALERTS.read_text(), SECONDS))
    jobs = {"ott": [f"127.0.0.1:{rig.checks[VICTIM].admin}"], "envoy": [rig.admin]}
    policy = rig.folder / "policy.yaml"
    text = policy.read_text()
    async with running(tmp_path, jobs, [rules], every="500ms", paths={"envoy": "/stats/prometheus"}) as prometheus:
        await _scraped(prometheus, "ott", "envoy")
        watch = Watch(prometheus)
        # A key of the rig's ends within a week, and what was not scraped a moment ago is now.
        assert await prometheus.firing() <= {"OttNotScraped", "OttApiKeysEnding"}, "nothing has happened yet"
        try:
            policy.write_text("routes: 7\n")
            with _attacking(rig):
                await watch.until(*FROM_CALLERS)
        finally:
            policy.write_text(text)

        trace = token_hex(16)
        sampled = [("traceparent", f"00-{trace}-{token_hex(8)}-01")]
        rig.call(listener=VICTIM, token=rig.good(), headers=sampled)

        store.command("CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "allkeys-lru")
        await watch.until("OttStoreUnsafe")
        store.kill()
        try:
            for _ in range(8):
                rig.call(listener=VICTIM, token=rig.good())
            await watch.until("OttStoreDown", "OttStoreErrors", "OttStoreServerDown")
        finally:
            store.start()
        await watch.until("OttFenceMoved")
        wait_until(rig.victim_lets_through, lambda: "the victim does not recover")

        with _no_room_to_write(victim.process.pid):
            assert rig.call(listener=VICTIM, token=rig.good()).status == 503
        await watch.until("OttAuditFailing")
        assert [each["labels"] for each in await prometheus.exemplars("ott_check_seconds_bucket")].count(
            {"trace_id": trace}
        ) == 1

        victim.kill()
        for _ in range(3):
            assert rig.call(listener="fail-open", token=rig.good()).status == 200
        await watch.until("OttEnvoyFailsOpen", "OttEnvoyChecksFail", "OttNotScraped")


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
