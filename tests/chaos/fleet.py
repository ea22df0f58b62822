"""Check servers behind a real Envoy as shipped: three pods' processes of their own, or three workers of one parent."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ott_extauthz.demo.pki import Authority
from ott_extauthz.demo.ports import free_ports
from tests.chaos.callers import TARGET
from tests.e2e.calling import Caller, exchange, request
from tests.e2e.forge import ISSUER, Forge
from tests.e2e.gateway import Listener, Places, configuration
from tests.e2e.servers import CheckServer, Server, answers, fetched

WITHIN: Final = 40.0
SHIPPED_TIMEOUT: Final = "0.25s"
RGS: Final = "spiffe://bank.example/rgs"
POLICY: Final[dict[str, Any]] = {
    "revision": "rolling.1",
    "routes": [
        {
            "name": "wallet-debit",
            "match": {"hosts": ["wallet.api"], "methods": ["POST"], "path": "/v1/wallets/{wallet}/debit"},
            "credential": "one_time_token",
            "audience": "wallet.api",
            "bound_to": ["certificate"],
            "clients": ["rgs"],
            "scopes": ["wallet:debit"],
        }
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is put behind Envoy: as shipped, but for what a shared machine or a short test needs otherwise.

    ``timeout`` is the filter's, ``pace`` the time between two health checks.  ``supervised`` servers are the workers of
    one parent; the others are processes of their own, with the ``transports`` in turn.
    """

    transports: tuple[str, ...]
    store: str
    drain: dict[str, str]
    timeout: str = SHIPPED_TIMEOUT
    pace: str = "1s"
    supervised: bool = False
    servers: int = 3


@dataclass(kw_only=True)
class Fleet:
    """Where everything is; ``servers`` are the Check servers, each with the process that runs it now."""

    folder: Path
    envoy: Path
    kind: Kind
    forge: Forge
    caller: Caller
    servers: list[CheckServer]
    running: dict[str, Server] = field(default_factory=dict)
    port: int = 0
    admin: str = ""

    @property
    def addresses(self) -> list[str]:
        return [address for server in self.servers for address in server.addresses]

    def start(self, server: CheckServer) -> None:
        self.running[server.name] = server.start()

    def process(self, server: CheckServer) -> Server:
        return self.running[server.name]

    def healthy(self) -> set[str]:
        """The addresses that Envoy sends Checks to."""
        return {address for address, host in self._hosts() if _is_healthy(host["health_status"])}

    def checks_of(self, address: str) -> int:
        """How many Checks Envoy has sent to an address."""
        host = dict(self._hosts())[address]
        return next(int(stat.get("value", 0)) for stat in host["stats"] if stat["name"] == "rq_total")

    def _hosts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        clusters = json.loads(fetched(f"http://{self.admin}/clusters?format=json"))["cluster_statuses"]
        for host in next(one["host_statuses"] for one in clusters if one["name"] == "ott"):
            socket = host["address"]["socket_address"]
            yield f"{socket['address']}:{socket['port_value']}", host

    def told(self) -> str:
        return "\n\n".join(server.told() for server in self.running.values())

    async def until_healthy(self, *addresses: str) -> None:
        await self.until(lambda: set(addresses) <= self.healthy())

    async def until(self, holds: Any) -> None:
        deadline = time.monotonic() + WITHIN
        while not await asyncio.to_thread(holds):
            assert time.monotonic() < deadline, self.told()
            await asyncio.sleep(0.02)

    def lets_through(self) -> bool:
        """Whether a fresh token passes."""
        headers = [("host", "wallet.api"), ("x-ott", self.forge.token()), ("content-length", "0")]
        return exchange(self.port, self.caller.context, request("POST", TARGET, headers)).status == 200

    def worker(self, address: str) -> int | None:
        """The process that serves one address of a parent, if there is one."""
        (parent,) = self.running.values()
        children = Path(f"/proc/{parent.process.pid}/task/{parent.process.pid}/children").read_text().split()
        return next((int(child) for child in children if address in _words_of(child)), None)

    def kill_worker(self, address: str) -> None:
        worker = self.worker(address)
        assert worker is not None, self.told()
        os.kill(worker, signal.SIGKILL)


def _words_of(process: str) -> list[str]:
    try:
        return Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8").split("\0")
    except OSError:  # it has just ended
        return []


def _is_healthy(status: dict[str, Any]) -> bool:
    return status.keys() == {"eds_health_status"} and status["eds_health_status"] == "HEALTHY"


@asynccontextmanager
async def started(folder: Path, envoy: Path, upstream: int, kind: Kind) -> AsyncIterator[Fleet]:
    """Start three Check servers and Envoy; yields once a fresh token passes and Envoy knows all three."""
    forge, caller = _identities(folder / "tls")
    (folder / "policy.yaml").write_text(json.dumps(POLICY), encoding="utf-8")
    (folder / "jwks.json").write_text(forge.jwks, encoding="utf-8")
    servers = list(_servers(folder, kind))
    fleet = Fleet(folder=folder, envoy=envoy, kind=kind, forge=forge, caller=caller, servers=servers)
    try:
        for server in servers:
            fleet.start(server)
        with _gateway(fleet, upstream):
            await fleet.until(lambda: (folder / "admin.txt").exists() and answers(f"http://{_admin(folder)}/ready"))
            fleet.admin = _admin(folder)
            (listener,) = json.loads(fetched(f"http://{fleet.admin}/listeners?format=json"))["listener_statuses"]
            fleet.port = listener["local_address"]["socket_address"]["port_value"]
            await fleet.until_healthy(*fleet.addresses)
            await fleet.until(fleet.lets_through)
            yield fleet
    finally:
        await asyncio.to_thread(_stop, fleet)


def _stop(fleet: Fleet) -> None:
    for server in fleet.running.values():
        server.process.terminate()
    for server in fleet.running.values():
        server.stop()


def _admin(folder: Path) -> str:
    return (folder / "admin.txt").read_text(encoding="utf-8")


def _identities(folder: Path) -> tuple[Forge, Caller]:
    folder.mkdir()
    authority = Authority("rolling")
    authority.write(folder)
    authority.issue("server", server=True, ips=("127.0.0.1",)).write(folder, "server")
    rgs = authority.issue("rgs", uri=RGS)
    rgs.write(folder, "rgs")
    return Forge(rgs.x5t_s256), Caller(folder, "rgs")


def _servers(folder: Path, kind: Kind) -> Iterator[CheckServer]:
    ports = free_ports(2 * kind.servers)
    addresses = [f"127.0.0.1:{port}" for port in ports[: kind.servers]]
    groups = [tuple(addresses)] if kind.supervised else [(address,) for address in addresses]
    for number, group in enumerate(groups):
        config, admin = folder / f"ott-{number}.yaml", ports[kind.servers + number]
        tree = {
            "listen": {
                "check": list(group),
                "admin": f"127.0.0.1:{admin}",
                "transport": kind.transports[number % len(kind.transports)],
            },
            "store": {"url": kind.store, "timeout": "80ms" if kind.timeout == SHIPPED_TIMEOUT else "1s"},
            "policy": "policy.yaml",
            "trust": [{"issuer": ISSUER, "jwks": "jwks.json", "algorithms": ["EdDSA"]}],
            "audit": {"path": f"audit-{number}/", "required": True},
            "drain": kind.drain,
            "expose_reasons": True,
            "log": {"level": "error"},
        }
        config.write_text(json.dumps(tree), encoding="utf-8")
        yield CheckServer(f"ott-{number}", group, admin, config)


@contextmanager
def _gateway(fleet: Fleet, upstream: int) -> Iterator[Server]:
    places = Places(fleet.folder, upstream, upstream, {"ott": tuple(fleet.addresses)})
    grpc_service = {"envoy_grpc": {"cluster_name": "ott"}, "timeout": fleet.kind.timeout}
    tree = configuration(places, (Listener("shipped", authz={"grpc_service": grpc_service}),))
    clusters = {one["name"]: one for one in tree["static_resources"]["clusters"]}
    clusters["ott"]["health_checks"][0] |= {"interval": fleet.kind.pace, "no_traffic_interval": fleet.kind.pace}
    tree["static_resources"]["clusters"] = [clusters["ott"], clusters["service"]]
    config = fleet.folder / "envoy.json"
    config.write_text(json.dumps(tree), encoding="utf-8")
    options = ["--use-dynamic-base-id", "--concurrency", "2", "--log-level", "warning"]
    options += ["--admin-address-path", str(fleet.folder / "admin.txt")]
    with Server("envoy", [fleet.envoy, "-c", config, *options], fleet.folder) as server:
        yield server
