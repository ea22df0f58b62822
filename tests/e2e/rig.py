"""The rig: a real Envoy with many listeners, real Check servers on one transport and one store, a recording upstream.

Started once per (transport, store).  Every case brings its own tokens, and knows its deliveries by a name of its own.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

from ott_extauthz.demo.calling import Reply
from ott_extauthz.demo.pki import Authority, Identity
from ott_extauthz.demo.ports import free_ports
from tests.collector import Collector, collecting
from tests.e2e import policies
from tests.e2e.calling import Caller, Header, exchange, request
from tests.e2e.forge import Forge, now
from tests.e2e.gateway import Places, configuration
from tests.e2e.grpc_upstream import GrpcUpstream
from tests.e2e.listeners import LISTENERS
from tests.e2e.login import Login
from tests.e2e.meshes import BEHIND, MESH, MESHES, NOBODY
from tests.e2e.servers import SELF, CheckServer, Server, answers, fetched, wait_until
from tests.e2e.upstream import Delivery, Upstream
from tests.processes import StoreProcess

DEBIT = "/v1/wallets/w-17/debit"
VICTIM = "victim"
_STARTED_WITHIN = 60.0  # seconds: eight programs start at once, on cores that may have other work
MEMORY = "memory://"
COLLECTOR_SECRET = token_hex(24)
SERVER_TLS = {"certificate": "server.pem", "key": "server-key.pem", "client_ca": "ca.pem"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and everything that reached the upstream for this call."""

    reply: Reply
    case: str
    deliveries: list[Delivery]

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def reason(self) -> str | None:
        return self.reply.reason

    @property
    def outcome(self) -> tuple[int, str | None]:
        return self.reply.status, self.reply.reason

    @property
    def delivery(self) -> Delivery:
        """The one delivery of an allowed call."""
        assert len(self.deliveries) == 1, f"{len(self.deliveries)} deliveries, {self.outcome}"
        return self.deliveries[0]


@dataclass(kw_only=True, repr=False)
class Rig:
    """Everything a case needs."""

    folder: Path
    transport: str
    store: str
    forge: Forge
    identities: Mapping[str, Identity]
    callers: Mapping[str | None, Caller]
    upstream: Upstream
    grpc_upstream: GrpcUpstream
    checks: Mapping[str, CheckServer]
    login: Login
    victim_store: StoreProcess | None
    api_key: str
    collector: Collector
    ports: dict[str, int] = field(default_factory=dict)
    admin: str = ""
    _ending: ExitStack = field(default_factory=ExitStack)
    _victim: Server | None = None

    def __repr__(self) -> str:
        return f"<rig {self.transport}-{self.store}>"

    def call(
        self,
        *,
        listener: str = "shipped",
        method: str = "POST",
        target: str = DEBIT,
        host: str | None = "wallet.api",
        token: str | bytes | None = None,
        headers: Iterable[Header] = (),
        body: bytes = b"",
        caller: str | None = "rgs",
    ) -> Answer:
        """Make one call over a connection of its own."""
        case = token_hex(8)
        sent: list[Header] = [] if host is None else [("host", host)]
        sent += [("x-case", case)] if token is None else [("x-case", case), ("x-ott", token)]
        sent += headers
        if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in sent):
            sent.append(("content-length", str(len(body))))
        context = None if listener.startswith("plain-") else self.callers[caller].context
        reply = exchange(self.ports[listener], context, request(method, target, sent, body))
        return Answer(reply, case, self.upstream.deliveries(case))

    def good(self, **claims: object) -> str:
        """A fresh good token, but for ``claims``."""
        return self.forge.token(**claims)

    def access_log(self, case: str) -> list[dict[str, Any]]:
        """Envoy's access log lines for a case, once there is one."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            lines = (self.folder / "access.log").read_text(encoding="utf-8").splitlines()
            found[:] = [json.loads(line) for line in lines if case in line]
            return bool(found)

        wait_until(is_there, lambda: f"no access log line for {case}", 5)
        return found

    def audit(self, case_id: str, server: str = "ott") -> list[dict[str, Any]]:
        """The audit records of one decision."""
        lines = [
            line
            for path in sorted((self.folder / f"audit-{server}").rglob("*"))
            if path.is_file()
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        return [json.loads(line) for line in lines if case_id in line]

    def requests_per_host(self, cluster: str) -> list[int]:
        """How many requests Envoy sent to each host of a cluster."""
        clusters = json.loads(fetched(f"http://{self.admin}/clusters?format=json"))["cluster_statuses"]
        [hosts] = [one["host_statuses"] for one in clusters if one["name"] == cluster]
        counts = [{stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]} for host in hosts]
        return [count["rq_total"] for count in counts]

    def stats(self, pattern: str) -> dict[str, int]:
        """Envoy's counters whose name matches."""
        stats = json.loads(fetched(f"http://{self.admin}/stats?format=json&filter={pattern}"))["stats"]
        return {stat["name"]: stat["value"] for stat in stats if "value" in stat}

    def victim(self) -> Server:
        """The Check server that tests take down, running: a dead one is started anew, up when a good token passes."""
        if self._victim is None or self._victim.process.poll() is not None:
            self._victim = self._ending.enter_context(self.checks[VICTIM].start())
        wait_until(self.victim_lets_through, self._victim.told)
        return self._victim

    def victim_lets_through(self) -> bool:
        """Whether a fresh good token passes through the victim."""
        return self.call(listener=VICTIM, token=self.good()).status == 200


@contextmanager
def started_rig(*, transport: str, store: str, victim_store: StoreProcess | None, envoy: Path) -> Iterator[Rig]:
    """Start everything, wait until a good token passes, end everything."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ott-e2e-")))
        identities = _identities(folder / "tls")
        login = stack.enter_context(Login(folder / "tls").running())
        collector = stack.enter_context(collecting())
        backs = _Backs(store, _url(victim_store), login, collector)
        checks = {one.name: one for one in _check_servers(folder, transport, backs)}
        api_key = _api_key(folder / "api-keys.yaml")
        rig = Rig(
            folder=folder,
            transport=transport,
            store=store.partition(":")[0],
            forge=Forge(identities["rgs"].x5t_s256),
            identities=identities,
            callers={name: Caller(folder / "tls", name) for name in (None, *identities.keys() - {"server"})},
            upstream=stack.enter_context(Upstream().running()),
            grpc_upstream=stack.enter_context(GrpcUpstream().running()),
            checks=checks,
            login=login,
            victim_store=victim_store,
            api_key=api_key,
            collector=collector,
        )
        (folder / "jwks.json").write_text(rig.forge.jwks, encoding="utf-8")
        (folder / "policy.yaml").write_text(json.dumps(policies.POLICY), encoding="utf-8")
        policies.write_partners(folder)
        (folder / "otlp-headers").touch(mode=0o600)
        (folder / "otlp-headers").write_text(f"authorization: Bearer {COLLECTOR_SECRET}\n", encoding="utf-8")
        servers = [stack.enter_context(one.start()) for one in checks.values() if one.name != VICTIM]
        servers.append(stack.enter_context(_envoy(rig, envoy)))
        _wait(rig, servers)
        stack.push(rig._ending)  # what the cases started ends before what they used
        yield rig


def _url(store: StoreProcess | None) -> str:
    return MEMORY if store is None else store.url


def _wait(rig: Rig, servers: list[Server]) -> None:
    def told() -> str:
        return "\n\n".join(server.told() for server in servers)

    def are_up() -> bool:
        assert all(server.process.poll() is None for server in servers), told()
        return all(one.is_ready() for one in rig.checks.values() if one.name != VICTIM)

    def lets_through() -> bool:
        # Envoy looks at a server anew every second; a used-list refuses what was issued in its own first moments, which
        # for a token with whole seconds reach one second further.
        listeners = (
            "shipped",
            "xfcc-SANITIZE_SET",
            "edge-hops",
            *(("istio-edge-plain",) if MESH in rig.checks else ()),
        )
        return all(rig.call(listener=name, token=rig.good(iat=now() - 1)).status == 200 for name in listeners)

    wait_until(are_up, told, _STARTED_WITHIN)
    wait_until(lets_through, told, _STARTED_WITHIN)


def _identities(folder: Path) -> dict[str, Identity]:
    folder.mkdir()
    authority, partner = Authority("e2e"), Authority("partner")
    for name, each in (("bank", authority), ("partner", partner)):
        each.write(folder, name)
    # Envoy has one list of authorities for all who call.
    (folder / "ca.pem").write_bytes(authority.certificate_pem + partner.certificate_pem)
    identities = {
        "server": authority.issue("server", server=True, ips=("127.0.0.1",)),
        "rgs": authority.issue("rgs", uri=policies.RGS, organisation='Acme, "Inc"; X=Y'),
        "thief": authority.issue("thief", uri="spiffe://bank.example/thief"),
        "gateway": authority.issue("gateway", uri=policies.GATEWAY),
        "psp": partner.issue("psp", uri=policies.PARTNER),
        "forger": partner.issue("rgs", uri=policies.RGS),
    }
    # A name with a comma, signed by a careless authority: Envoy writes it as it is, and it reads as an element.
    smuggled = f"spiffe://bank.example/smuggler,Hash={identities['rgs'].thumbprint.hex()}"
    identities["smuggler"] = authority.issue("smuggler", uri=smuggled)
    for name, identity in identities.items():
        identity.write(folder, name)
    return identities


def _api_key(path: Path) -> str:
    """Have a key made as an operator does, one that ends soon."""
    words = ["api-keys", "create", "--file", str(path), "--client", "rgs", "--expires", "7d"]
    limits = ["--scope", "wallet:debit", "--cidr", "127.0.0.0/8"]
    done = subprocess.run([*SELF, *words, *limits], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class _Backs:
    """What stands behind the Check servers."""

    store: str
    victim_store: str
    login: Login
    collector: Collector


def _check_servers(folder: Path, transport: str, backs: _Backs) -> Iterator[CheckServer]:
    """The main one over TCP, ``hops`` over mTLS where the transport has it, the others over Unix sockets.

    ``xfcc`` has two workers where the store is shared: one token must be spent once between them as well.
    """
    xfcc = {"source": "xfcc"}
    hops = {"source": "xfcc", "trusted_hops": 1, "hop_identities": [policies.GATEWAY], "exact_hops": True}
    domains = {f"{name}.example": {"bundle": f"tls/{name}.pem"} for name in ("bank", "partner")}
    tracing = {"endpoint": f"http://{backs.collector.address}", "every": "20ms", "headers_file": "otlp-headers"}
    kinds: dict[str, dict[str, Any]] = {
        "ott": {"expose_reasons": True, "tracing": tracing, "log": {"level": "debug", "refusals_per_second": 100_000}},
        "xfcc": {"expose_reasons": True, "client_certificate": xfcc, "trust_domains": domains, "tracing": tracing},
        "hops": {"expose_reasons": True, "client_certificate": hops, "trust_domains": domains},
        VICTIM: {"store": backs.victim_store},
    }
    if backs.store == MEMORY:  # one store is enough for the meshes: what they differ in comes before it
        kinds[MESH] = {"expose_reasons": True, "client_certificate": hops}
    for name, changes in kinds.items():
        over_tcp = name == "ott" or _is_over_tls(name, transport)
        workers = 2 if name == "xfcc" and backs.store != MEMORY else 1
        addresses = tuple(
            f"127.0.0.1:{free_ports(1)[0]}" if over_tcp else f"unix://{folder}/{name}-{number}.check.sock"
            for number in range(workers)
        )
        [admin] = free_ports(1)
        tree = policies.ott_yaml(name, transport, backs.store, addresses, admin)
        tree |= {"introspection": [backs.login.settings()]} | changes
        if _is_over_tls(name, transport):
            tree["listen"]["tls"] = {key: f"tls/{file}" for key, file in SERVER_TLS.items()}
        config = folder / f"{name}.yaml"
        config.write_text(json.dumps(tree), encoding="utf-8")
        yield CheckServer(name, addresses, admin, config)


def _is_over_tls(name: str, transport: str) -> bool:
    return name == "hops" and transport == "grpcio"


@contextmanager
def _envoy(rig: Rig, binary: Path) -> Iterator[Server]:
    checks = {name: one.addresses for name, one in rig.checks.items()}
    over_tls = frozenset(name for name in checks if _is_over_tls(name, rig.transport))
    checks[NOBODY] = (f"unix://{rig.folder}/{NOBODY}.sock",)
    behind = ("behind", "behind-hops", *BEHIND)
    places = Places(
        rig.folder, rig.upstream.port, rig.grpc_upstream.port, checks,
        collector=rig.collector.address, over_tls=over_tls, behind=behind,
    )  # fmt: skip
    config, admin = rig.folder / "envoy.json", rig.folder / "admin.txt"
    listeners = (*LISTENERS, *MESHES) if MESH in rig.checks else LISTENERS
    config.write_text(json.dumps(configuration(places, listeners)), encoding="utf-8")
    options = ["--use-dynamic-base-id", "--concurrency", "2", "--log-level", "warning"]
    options += ["--file-flush-interval-msec", "50", "--admin-address-path", str(admin)]
    with Server("envoy", [binary, "-c", config, *options], rig.folder) as server:

        def is_up() -> bool:
            assert server.process.poll() is None, server.told()
            return admin.exists() and answers(f"http://{admin.read_text()}/ready")

        wait_until(is_up, server.told)
        rig.admin = admin.read_text()
        for status in json.loads(fetched(f"http://{rig.admin}/listeners?format=json"))["listener_statuses"]:
            address = status["local_address"].get("socket_address", {})
            rig.ports[status["name"]] = address.get("port_value", 0)
        yield server
