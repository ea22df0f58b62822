"""A real Prometheus scrapes a running server and Envoy, and the alerts fire when their causes are provoked."""

import asyncio
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ott_extauthz.demo.ports import free_ports
from ott_extauthz.drills.catalogue import DRILLS
from ott_extauthz.sections.words import file_name
from tests.alerts.known import ENVOY, OF_ISTIO, known, matched
from tests.alerts.live import EVERY, Watch, watched
from tests.alerts.rules import alerts, metrics_in, recorded
from tests.architecture.documents import DOCS
from tests.e2e.calling import Caller, exchange, request
from tests.e2e.conftest import rigs
from tests.e2e.forge import now
from tests.e2e.istio_names import of_istio
from tests.e2e.listeners import SWITCH
from tests.e2e.policies import RGS
from tests.e2e.rig import SERVER_TLS, VICTIM, Rig
from tests.e2e.servers import SELF, Server, answers, fetched, wait_until
from tests.prometheus import promtool

pytestmark = pytest.mark.e2e
on_one_rig = pytest.mark.parametrize("rig", rigs("redis")[:1], indirect=True)

EXPRESSIONS = {name: rule["expr"] for name, rule in alerts().items()} | recorded()
OFTEN = 10
RUNBOOK = (DOCS / "alerts.md").read_text(encoding="utf-8")
ON_THE_WAY = {
    "OttAvailabilityBurnsFast", "OttAvailabilityBurnsSlowly", "OttEnvoyFailsOpen", "OttNotScraped", "OttStoreUnsafe",
}  # fmt: skip
"""What fires in the first test, beside what stands in PROVOKED."""

EVICTING = ("maxmemory", "1gb", "maxmemory-policy", "allkeys-lru")
NOT_EVICTING = ("maxmemory", "0", "maxmemory-policy", "noeviction")
FAR_FROM_HERE = "/v1/opaque"
SLOW_MS = 65
"""Longer than the budget of 50 ms, shorter than the 80 ms that a spend may take."""


@dataclass(frozen=True)
class Scene:
    """What is broken, and how it is put right."""

    rig: Rig
    issuer: "Issuing"

    def forged_header(self) -> None:
        """A certificate in X-Forwarded-Client-Cert that is not the connection's."""
        forged = [("x-forwarded-client-cert", f"Hash={self.rig.identities['rgs'].thumbprint.hex()}")]
        answer = self.rig.call(listener="xfcc-FORWARD_ONLY", token=self.rig.good(), caller="thief", headers=forged)
        assert answer.outcome == (401, "certificate_conflict")

    def stolen_tokens(self) -> None:
        for _ in range(3):
            stolen = self.rig.call(listener=VICTIM, token=self.rig.good(), caller="thief")
            assert stolen.status == 401

    def rights_that_are_missing(self) -> None:
        for _ in range(8):
            assert self.rig.call(listener=VICTIM, token=self.rig.good(scope="wallet:read")).status == 403

    def too_little_time(self) -> None:
        """Of twenty spends one is slow: who has less time than that is not let begin."""
        assert self.rig.victim_store is not None
        self.rig.victim_store.command("CLIENT", "PAUSE", SLOW_MS)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: self.rig.call(listener=VICTIM, token=self.rig.good()), range(24)))
        for _ in range(8):
            assert self.rig.call(listener="rushed", token=self.rig.good()).status in (200, 503)

    def slow_store(self) -> None:
        assert self.rig.victim_store is not None
        for _ in range(6):
            self.rig.victim_store.command("CLIENT", "PAUSE", SLOW_MS)
            self.rig.call(listener=VICTIM, token=self.rig.good())

    def silent_issuer(self) -> None:
        """Of opaque tokens."""
        self.rig.login.stop()
        try:
            for _ in range(3):
                opaque = [("authorization", f"Bearer {token_hex(16)}")]
                assert self.rig.call(listener=VICTIM, target=FAR_FROM_HERE, headers=opaque).status == 503
        finally:
            self.rig.login.start()

    def crowd(self) -> None:
        assert self.rig.call(listener="crowded", token=self.rig.good()).status == 503

    def switch(self) -> None:
        """By runtime, as somebody with the admin port does; as shipped it closes the door."""
        for share, status in ((0, 503), (100, 200)):
            posted(f"http://{self.rig.admin}/runtime_modify?{SWITCH}={share}")
            assert self.rig.call(listener="switched", token=self.rig.good()).status == status

    def answer_that_may_not_be(self) -> None:
        assert self.rig.call(listener="unlisted", token=self.rig.good()).status == 500

    def ended_worker(self) -> None:
        """One of two, as soon as it serves."""
        for pid in workers_of(self.rig.folder / "xfcc.yaml")[:1]:
            os.kill(pid, signal.SIGKILL)

    def foreign_client(self) -> None:
        for _ in range(4):
            assert self.issuer.ask(self.rig.callers["thief"], "wallet:debit") in (400, 401)

    def greedy_client(self) -> None:
        for _ in range(4):
            assert self.issuer.ask(self.rig.callers["rgs"], "wallet:everything") == 400

    def broken_ring(self) -> None:
        self.issuer.break_ring()

    def full_disk(self) -> None:
        """The issuer's, from the start; its audit is not required, else it would hand out nothing."""
        self.issuer.ask(self.rig.callers["rgs"], "wallet:debit")

    def certificate_of_two_days(self) -> None:
        self.issuer.shorten_certificate()


@on_one_rig
@pytest.mark.timeout(180)
async def test_what_no_drill_provokes_fires_too_and_prometheus_keeps_the_exemplars(rig: Rig, tmp_path: Path) -> None:
    """What a drill names fires in test_drills.py; the runbook says of which alerts there are promtool's cases alone."""
    victim, store = rig.victim(), rig.victim_store
    assert store is not None
    with _issuer(rig.folder / "issuing", rig.folder / "tls") as issuer, _whole_again(rig):
        admins = {name: [f"127.0.0.1:{rig.checks[name].admin}"] for name in ("ott", "xfcc", VICTIM)}
        scene = Scene(rig, issuer)
        async with watched(tmp_path, envoy=rig.admin, issuer=[issuer.admin], **admins) as watch:
            first = await watch.until_quiet()
            assert not first & {name for name, provoke in PROVOKED.items() if provoke is not None}, (
                "nothing has happened yet"
            )
            trace = token_hex(16)
            sampled = [("traceparent", f"00-{trace}-{token_hex(8)}-01")]
            assert rig.call(listener=VICTIM, token=rig.good(), headers=sampled).status == 200
            await _provoked(watch, scene)

            store.command("CONFIG", "SET", *EVICTING)
            try:
                assert await watch.fire("OttStoreUnsafe")
                for _ in range(4):
                    assert rig.call(listener=VICTIM, token=rig.good()).status == 503
                assert await watch.fire("OttAvailabilityBurnsFast", "OttAvailabilityBurnsSlowly")
            finally:
                store.command("CONFIG", "SET", *NOT_EVICTING)
            kept = await watch.prometheus.exemplars("ott_check_seconds_bucket")
            assert [each["labels"] for each in kept].count({"trace_id": trace}) == 1

            victim.kill()
            for _ in range(3):
                assert rig.call(listener="fail-open", token=rig.good()).status == 200
            assert await watch.fire("OttEnvoyFailsOpen", "OttNotScraped"), await watch.fired()


@contextmanager
def _whole_again(rig: Rig) -> Iterator[None]:
    """Others use the server whose worker is ended, too."""

    def is_whole() -> bool:
        passes = rig.call(listener="xfcc-SANITIZE_SET", token=rig.good()).status == 200
        return passes and rig.checks["xfcc"].is_ready()

    try:
        yield
    finally:
        wait_until(is_whole, lambda: "the worker is not back")


async def _provoked(watch: Watch, scene: Scene) -> None:
    """Do all of it until all has fired: a rate is seen from the second scrape on."""
    left = dict(PROVOKED)
    for _ in range(OFTEN):
        for provoke in dict.fromkeys(provoke for provoke in left.values() if provoke is not None):
            await asyncio.to_thread(provoke, scene)
        await asyncio.sleep(4 * EVERY)
        fired = await watch.fired()
        left = {name: provoke for name, provoke in left.items() if name not in fired}
        if not left:
            return
    pytest.fail(f"{sorted(left)} did not fire")


PROVOKED: dict[str, Callable[[Scene], None] | None] = {
    "OttApiKeysEnding": None,  # the rig's key ends within the week
    "OttCertificateConflict": Scene.forged_header,
    "OttClientAuthenticationFailing": Scene.foreign_client,
    "OttDeadlineTooNear": Scene.too_little_time,
    "OttEnvoyAnswerRefused": Scene.answer_that_may_not_be,
    "OttEnvoyChecksSkipped": Scene.switch,
    "OttEnvoyOverflow": Scene.crowd,
    "OttIntrospectionFailing": Scene.silent_issuer,
    "OttIssuerAuditFailing": Scene.full_disk,
    "OttKeyRingFailing": Scene.broken_ring,
    "OttLatencyBurnsFast": Scene.slow_store,
    "OttLatencyBurnsSlowly": Scene.slow_store,
    "OttLittleTimeLeft": Scene.too_little_time,
    "OttP99OverBudget": Scene.slow_store,
    "OttRegionDeniedMore": Scene.rights_that_are_missing,
    "OttSpendSlow": Scene.slow_store,
    "OttStolenTokensTried": Scene.stolen_tokens,
    "OttTlsCertificateEnding": Scene.certificate_of_two_days,
    "OttTokenRequestsRefused": Scene.greedy_client,
    "OttWorkerDown": Scene.ended_worker,
}


@on_one_rig
def test_workers_show_one_sum_and_their_exemplars(rig: Rig) -> None:
    """Two processes behind one address for Prometheus: nothing is counted by one of them alone."""
    trace, route = token_hex(16), "wallet-debit"
    before = _count(rig, route)
    for _ in range(6):
        sampled = [("traceparent", f"00-{trace}-{token_hex(8)}-01")]
        assert rig.call(listener="xfcc-SANITIZE_SET", token=rig.good(), headers=sampled).status == 200
    assert _count(rig, route) - before == 6
    server = rig.checks["xfcc"]
    wait_until(lambda: f'trace_id="{trace}"' in server.metrics(openmetrics=True), lambda: "no exemplar")
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


@on_one_rig
def test_every_metric_of_the_alerts_is_there_to_be_scraped(rig: Rig) -> None:
    """Of a running server with workers, of one without, of an issuer, and of Envoy 1.40; promtool has no complaint."""
    with _issuer(rig.folder / "issuing-too", rig.folder / "tls") as issuer:
        ours = [rig.checks["xfcc"].metrics(), rig.checks["ott"].metrics(), fetched(f"http://{issuer.admin}/metrics")]
    envoy = fetched(f"http://{rig.admin}/stats/prometheus")
    for text in ours:
        code, told = promtool("check", "metrics", text=text)
        assert code == 0, told
    names = set(re.findall(r"^# TYPE (\w+)", "\n".join([*ours, envoy]), re.MULTILINE))
    names |= {f"{name}{ending}" for name in names for ending in ("_bucket", "_count", "_sum")}
    asked = {metric for expression in EXPRESSIONS.values() for metric in metrics_in(expression)}
    assert {one for metric in asked for one in matched(metric)} - set(recorded()) - names == set()
    for name, labels in _series("\n".join([*ours, envoy])):
        assert labels <= known().get(name, labels), name  # a label that is on no series would be asked for in vain
        assert labels == known().get(name, labels) or name in ENVOY, name
    assert dict(_series(envoy)).keys() >= ENVOY.keys()


def test_envoys_counters_are_found_by_the_names_that_istio_makes_of_them(envoy: Path, tmp_path: Path) -> None:
    """A real Envoy with the rules for labels of Istio's bootstrap; with a `stat_prefix`, and without."""
    with of_istio(envoy, tmp_path) as text:
        series = dict(_series(text))
    assert series.keys() >= OF_ISTIO.keys()
    assert {name: series[name] for name in OF_ISTIO} == OF_ISTIO
    assert not series.keys() & {name for name in ENVOY if "ext_authz" in name}


def _series(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? [-+.\deNaInf]+$", text, re.MULTILINE):
        yield name, frozenset(re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', labels))


def test_the_runbook_says_what_was_seen_to_fire_and_what_was_not() -> None:
    """Every alert stands in one row: a drill's, this file's, or that of promtool's cases alone."""
    rows = re.findall(
        r"^\| (the \[drills\]|a test of its own|promtool's cases alone)[^|]*\| ([^|]+) \|$", RUNBOOK, re.MULTILINE
    )
    said = {kind: set(re.findall(r"Ott\w+", names)) for kind, names in rows}
    by_drills = {name for drill in DRILLS for name in drill.look.alerts}
    by_tests = (PROVOKED.keys() | ON_THE_WAY) - by_drills
    assert said["a test of its own"] == by_tests
    assert said["promtool's cases alone"] == alerts().keys() - by_tests - by_drills


def posted(url: str) -> None:
    """POST to a loopback URL."""
    asked = urllib.request.Request(url, method="POST")  # noqa: S310 - Envoy's admin port
    with urllib.request.urlopen(asked, timeout=5) as response:  # noqa: S310 - the same
        assert response.status == 200


def workers_of(config: Path) -> list[int]:
    """The worker processes that run with a configuration."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"--worker" in words and os.fsencode(config) in words:
                found.append(int(entry.name))
    return sorted(found)


@dataclass(frozen=True)
class Issuing:
    """A running issuer, and what may befall it."""

    folder: Path
    listen: int
    admin: str

    def ask(self, caller: Caller, scope: str) -> int:
        """Ask for a token as the client ``rgs``."""
        form = f"grant_type=client_credentials&client_id=rgs&audience=wallet.api&scope={scope}".encode()
        headers = [("host", "issuer.bank.example"), ("content-type", "application/x-www-form-urlencoded")]
        raw = request("POST", "/token", [*headers, ("content-length", str(len(form)))], form)
        context = caller.context_for()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # its certificate is one of ours by and by
        return exchange(self.listen, context, raw).status

    def break_ring(self) -> None:
        """As a disk or a careless hand does."""
        (self.folder / "keys" / "ring.json").write_text("{", encoding="utf-8")

    def shorten_certificate(self) -> None:
        """Put one in its place that ends in two days."""
        certificate, key = (self.folder / SERVER_TLS[name] for name in ("certificate", "key"))
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
        signing = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        today = datetime.fromtimestamp(now(), UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(signing.public_key())
        made = made.serial_number(1).not_valid_before(today).not_valid_after(today + timedelta(days=2))
        certificate.write_bytes(made.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


@contextmanager
def _issuer(folder: Path, tls: Path) -> Iterator[Issuing]:
    """Run an issuer as an operator does, with certificates of its own."""
    folder.mkdir()
    for file in SERVER_TLS.values():
        shutil.copy(tls / file, folder)
    listen, admin = free_ports(2)
    entry = {"client_id": "rgs", "authentication": "tls_client_auth", "certificate": {"spiffe_id": RGS}}
    (folder / "clients.yaml").write_text(
        json.dumps({"clients": [entry | {"audiences": {"wallet.api": {"scopes": ["wallet:debit"]}}}]})
    )
    settings: dict[str, Any] = {
        "url": "https://issuer.bank.example",
        "listen": f"127.0.0.1:{listen}",
        "admin": f"127.0.0.1:{admin}",
        "keys": "keys/",
        "failure_limit": {"failures": 1000, "within": "60s"},
        "tls": SERVER_TLS,
    }
    audit = {"path": "audit/", "required": False}
    (folder / "audit").mkdir()
    # Whatever is written to /dev/full fails as on a disk without room.
    full = folder / "audit" / f"issuer-{file_name(settings['listen'])}.jsonl"
    full.symlink_to("/dev/full")
    (folder / "ott.yaml").write_text(json.dumps({"issuer": settings, "audit": audit}))
    subprocess.run([*SELF, "keys", "init", "-c", folder / "ott.yaml"], check=True, capture_output=True)
    with Server("issuer", [*SELF, "issue", "-c", folder / "ott.yaml"], folder) as server:

        def is_up() -> bool:
            assert server.process.poll() is None, server.told()
            return answers(f"http://127.0.0.1:{admin}/readyz")

        wait_until(is_up, server.told)
        try:
            yield Issuing(folder, listen, f"127.0.0.1:{admin}")
        finally:
            full.unlink()  # it reads without an end: other tests read every file of the rig
