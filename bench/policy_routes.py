"""How long a large policy takes to load, and how long it takes to find a route in it.

python -m bench.policy_routes [number of routes]
"""

import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ott_extauthz.bootstrap.policy_files import read_policy
from ott_extauthz.policy.routes import Route
from ott_extauthz.policy.table import RouteTable
from ott_extauthz.policy.target import CanonicalTarget, canonical_target

ROUTES = 10_000
SERVICES = 100
LOADS = 5
MATCHES = 20_000
ROUNDS = 5
HEADERS = {"content-type": ("application/json",), "x-tenant": ("acme",), "x-request-id": ("7",)}


def policy_text(count: int) -> str:
    """A policy of so many routes over a hundred services: exact hosts and suffixes, parameters, tenants, clients."""
    lines = ["revision: bench", "roles: {payer: [pay]}", "clients: [{client_id: rgs, roles: [payer]}]", "routes:"]
    lines += ["  - {name: public, match: {methods: [GET], path: /healthz}, credential: public}"]
    for index in range(count - 1):
        service = f"svc{index % SERVICES}"
        host = f"{service}.api" if index % 2 else f"*.{service}.bank"
        tenant = ", headers: {x-tenant: acme}" if index % 10 == 0 else ""
        lines.append(
            f"  - name: {service}-op{index}\n"
            f'    match: {{hosts: ["{host}"], methods: [POST], path: "/v1/op{index}/{{id}}/act"{tenant}}}\n'
            "    credential: one_time_token\n"
            f"    audience: {service}.api\n"
            "    clients: [rgs]\n"
            "    roles: [payer]\n"
            "    scopes: [pay]"
        )
    return "\n".join(lines)


def _load_seconds(folder: Path, count: int) -> list[float]:
    (folder / "policy.yaml").write_text(policy_text(count))
    seconds = []
    for _ in range(LOADS):
        before = time.process_time()
        read_policy([folder])
        seconds.append(time.process_time() - before)
    return seconds


def _targets(count: int) -> list[tuple[str, CanonicalTarget]]:
    found = []
    for index in range(0, count - 1, max(1, count // 1000)):
        service = f"svc{index % SERVICES}"
        host = f"{service}.api" if index % 2 else f"pod-7.{service}.bank"
        target = canonical_target("POST", "https", host, f"/v1/op{index}/4711/act")
        if isinstance(target, CanonicalTarget):
            found.append((f"{service}-op{index}", target))
    return found


def _match_microseconds(table: RouteTable, asked: list[tuple[str, CanonicalTarget]]) -> float:
    for name, target in asked:
        found = table.match("POST", target, HEADERS)
        if not isinstance(found, Route) or found.name != name:
            raise SystemExit(f"{name}: void, found {found}")
    rounds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for number in range(MATCHES):
            table.match("POST", asked[number % len(asked)][1], HEADERS)
        rounds.append((time.process_time() - before) / MATCHES * 1e6)
    return statistics.median(rounds)


def policy_routes(count: int = ROUTES) -> None:
    """Print load time and match time."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        seconds = _load_seconds(folder, count)
        table = read_policy([folder]).table
    print(f"policy of {count} routes: loaded in {statistics.median(seconds):.2f} s of CPU (best {min(seconds):.2f} s)")
    print(f"  one match: {_match_microseconds(table, _targets(count)):.1f} us of CPU")


if __name__ == "__main__":
    policy_routes(int(sys.argv[1]) if len(sys.argv) > 1 else ROUTES)
