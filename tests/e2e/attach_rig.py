"""App A, Envoy A (attaches), Envoy B (checks), app B: two real Envoys as shipped, real servers beside them.

App A is a plain HTTP client, app B the recording upstream; neither knows of tokens.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes, token_hex
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ott_extauthz.demo.pki import Authority
from ott_extauthz.demo.ports import free_ports
from ott_extauthz.stores.keyring import init_keys
from tests.e2e.attach_envoys import attaching_envoy, checking_envoy
from tests.e2e.calling import Header, exchange, request
from tests.e2e.forge import ISSUER, now
from tests.e2e.gateway import Tree
from tests.e2e.rig import Answer
from tests.e2e.servers import SELF, CheckServer, Server, fetched, wait_until
from tests.e2e.upstream import Upstream

APP_A = "spiffe://bank.example/app-a"
DEBIT = "/v1/wallets/w-17/debit"

_SCOPES = ["wallet:debit"]
CLIENTS: Tree = {
    "clients": [
        {
            "client_id": "app-a",
            "authentication": "tls_client_auth",
            "certificate": {"spiffe_id": APP_A},
            "audiences": {
                "wallet.api": {"scopes": [*_SCOPES, "wallet:read"], "workload_bound": True},
                "ledger.api": {"scopes": ["ledger:write"]},
            },
        }
    ]
}
SIGNED = {"hmac": "/v1/hooks/hmac", "standard": "/v1/hooks/standard", "http": "/v1/hooks/http"}
HTTP_KEY = ed25519.Ed25519PrivateKey.generate()
"""What server ``s`` signs with where it makes HTTP message signatures."""

_SIGNING_KEYS = [
    {"name": "hmac", "form": "hmac", "secret_file": "hmac.secret"},
    {"name": "standard", "form": "standard_webhooks", "secret_file": "standard.secret"},
    {"name": "http", "form": "http_signatures", "key_file": "http.pem", "keyid": "app-a"},
]
PARTNERS: Tree = {
    "partners": [
        {"name": name, "client_id": "app-a", "form": form, "keys": [{"secret_file": f"{name}.secret"}]}
        for name, form in (("hmac", "hmac"), ("standard", "standard_webhooks"))
    ]
}
_PATHS = {"debit": "/v1/wallets/{wallet}/debit", "bound": "/v1/wallets/{wallet}/bound", "workload": "/v1/workload"}


def _checking() -> Tree:
    token: Tree = {"credential": "one_time_token", "audience": "wallet.api", "scopes": _SCOPES, "clients": ["app-a"]}
    changes: dict[str, Tree] = {
        "debit": {},
        "bound": {"bound_to_request": ["method", "path", "body"]},
        "workload": {"bound_to": ["workload"]},
    }
    routes = [
        {"name": name, "match": {"hosts": ["wallet.api"], "methods": ["POST"], "path": _PATHS[name]}, **token, **change}
        for name, change in changes.items()
    ]
    return {"revision": "b", "routes": [*routes, *_hooks()]}


def _hooks() -> Iterator[Tree]:
    """Webhooks, so little ahead that a fresh used-list vouches for them soon; the last is for the test to verify."""
    for name in ("hmac", "standard"):
        match = {"hosts": ["wallet.api"], "methods": ["POST"], "path": SIGNED[name]}
        terms = {"partners": [name], "ahead": "1s"}
        yield {"name": name, "match": match, "credential": "signed_request", "signed_request": terms}
    yield {"name": "http", "match": {"methods": ["POST"], "path": SIGNED["http"]}, "credential": "public"}


def _signing() -> Tree:
    return {
        "revision": "s",
        "routes": [
            {
                "name": name,
                "match": {"hosts": ["wallet.api"], "methods": ["POST"], "path": path},
                "attach": "signed_request",
                "sign": {"key": name},
            }
            for name, path in SIGNED.items()
        ],
    }


def _write_secrets(folder: Path) -> None:
    standard = f"whsec_{b64encode(token_bytes(32)).decode()}\n".encode()
    for name, raw in {"hmac.secret": f"{token_hex(32)}\n".encode(), "standard.secret": standard}.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(raw)
    write_http_key(folder, HTTP_KEY)


def write_http_key(folder: Path, key: ed25519.Ed25519PrivateKey) -> None:
    """Move a key into place that server ``s`` signs with from then on."""
    fresh = folder / "fresh.pem"
    fresh.touch(mode=0o600)
    fresh.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    fresh.replace(folder / "http.pem")


def _attaching() -> Tree:
    token: Tree = {"attach": "one_time_token", "audience": "wallet.api", "scopes": _SCOPES}
    changes: dict[str, Tree] = {
        "debit": {"deny_when": "'x-frozen' in request.headers"},
        "bound": {"bound_to_request": ["method", "path", "body"]},
        "workload": {},
    }
    routes = [
        {"name": name, "match": {"hosts": ["wallet.api"], "methods": ["POST"], "path": _PATHS[name]}, **token, **change}
        for name, change in changes.items()
    ]
    refused = {"hosts": ["wallet.api"], "methods": ["POST"], "path": "/v1/refused"}
    routes.append({"name": "refused", "match": refused, **token, "scopes": ["wallet:everything"]})
    return {"revision": "a", "routes": routes}


@dataclass(kw_only=True, repr=False)
class AttachRig:
    """Everything a case needs."""

    folder: Path
    authority: Authority
    upstream: Upstream
    checks: dict[str, CheckServer]
    ports: dict[str, int]
    admin: str = ""
    issuer: Server | None = None

    def call(
        self,
        target: str = DEBIT,
        *,
        listener: str = "egress",
        headers: Iterable[Header] = (),
        body: bytes = b"{}",
        method: str = "POST",
        host: str = "wallet.api",
    ) -> Answer:
        """Make app A's call: plain HTTP, no credential, to its own Envoy."""
        case = token_hex(8)
        sent = [("host", host), ("x-case", case), *headers, ("content-length", str(len(body)))]
        reply = exchange(self.ports[listener], None, request(method, target, sent, body))
        return Answer(reply, case, self.upstream.deliveries(case))

    def audit(self, server: str, text: str) -> list[dict[str, Any]]:
        """The audit records of one server in which a text stands."""
        files = [path for path in sorted((self.folder / f"audit-{server}").rglob("*")) if path.is_file()]
        lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
        return [json.loads(line) for line in lines if text in line]

    def everything_written(self) -> str:
        """All that any of the programs wrote: logs, audits, access logs, metrics."""
        files = [path for path in self.folder.rglob("*") if path.suffix in {".log", ".jsonl"}]
        written = [path.read_text(encoding="utf-8", errors="replace") for path in files]
        return "".join([*written, *(one.metrics() for one in self.checks.values())])

    def start_issuer(self) -> None:
        """Start the issuer that server ``g`` asks, as an operator does."""
        self.issuer = Server("issuer", [*SELF, "issue", "-c", self.folder / "issuer.yaml"], self.folder)

    def stop_issuer(self) -> None:
        """End it."""
        if self.issuer is not None:
            self.issuer.stop()
            self.issuer = None

    def rotate(self) -> str:
        """Give app A a new certificate, as a mesh does: both files are renamed into place; return its thumbprint."""
        return write_workload(self.authority, self.folder / "tls")

    def stats(self, pattern: str) -> dict[str, int]:
        """Envoy A's counters whose name matches."""
        stats = json.loads(fetched(f"http://{self.admin}/stats?format=json&filter={pattern}"))["stats"]
        return {stat["name"]: stat["value"] for stat in stats if "value" in stat}


def write_workload(authority: Authority, folder: Path) -> str:
    """Issue app A's certificate, move it into place, and return its thumbprint."""
    identity = authority.issue("app-a", uri=APP_A)
    fresh = folder.parent / f"fresh-{token_hex(4)}"
    fresh.mkdir()
    certificate, key = identity.write(fresh, "workload")
    key.replace(folder / "workload-key.pem")
    certificate.replace(folder / "workload.pem")
    return identity.x5t_s256


@contextmanager
def started_attach_rig(envoy: Path, *, app_b: int | None = None) -> Iterator[AttachRig]:
    """Start everything, wait until a call passes on every way, end everything; ``app_b`` is another upstream's port."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ott-attach-")))
        authority = _identities(folder / "tls")
        _inputs(folder)
        checks = {one.name: one for one in _servers(folder)}
        upstream = stack.enter_context(Upstream().running())
        rig = AttachRig(folder=folder, authority=authority, upstream=upstream, checks=checks, ports={})
        rig.start_issuer()
        stack.callback(rig.stop_issuer)
        servers = [stack.enter_context(one.start()) for one in checks.values()]
        servers.append(stack.enter_context(checking_envoy(rig, envoy, app_b or upstream.port)))
        servers.append(stack.enter_context(attaching_envoy(rig, envoy)))

        def told() -> str:
            return "\n\n".join(server.told() for server in servers)

        def lets_through() -> bool:
            assert all(server.process.poll() is None for server in servers), told()
            workload = "/v1/workload"
            ways = [("egress", DEBIT), ("retries", DEBIT), ("issued", DEBIT), ("egress-workload", workload)]
            ways.append(("issued-workload", workload))
            return all(rig.call(target, listener=name).status == 200 for name, target in ways)

        wait_until(lambda: all(one.is_ready() for one in checks.values()), told, 60)
        wait_until(lets_through, told, 60)
        yield rig


def _identities(folder: Path) -> Authority:
    folder.mkdir()
    authority = Authority("attach")
    authority.write(folder)
    authority.issue("wallet.api", server=True, dns=("wallet.api",)).write(folder, "server")
    authority.issue("gateway").write(folder, "gateway")
    authority.issue("issuer", server=True, ips=("127.0.0.1",)).write(folder, "issuer")
    write_workload(authority, folder)
    authority.issue("app-a-asks", uri=APP_A).write(folder, "asker")  # Envoy has the workload's other certificate
    return authority


def _inputs(folder: Path) -> None:
    init_keys(folder / "keys", now_ms=int(now() * 1000))
    _write_secrets(folder)
    trees = {
        "clients": CLIENTS, "policy-a": _attaching(), "policy-b": _checking(), "policy-s": _signing(),
        "partners": PARTNERS,
    }  # fmt: skip
    for name, tree in trees.items():
        (folder / f"{name}.yaml").write_text(json.dumps(tree), encoding="utf-8")


def _servers(folder: Path) -> Iterator[CheckServer]:
    """``a`` mints for a certificate, ``w`` for the workload; ``g``, ``h`` ask the issuer; ``s`` signs, ``b`` checks."""
    issuer = {"url": ISSUER, "keys": "keys", "clients": "clients.yaml"}
    trust = [{"issuer": ISSUER, "jwks": "keys/jwks.json", "algorithms": ["EdDSA"]}]
    asked = _issuer(folder)
    kinds: dict[str, Tree] = {
        "a": {
            "policy": "policy-a.yaml",
            "issuer": issuer,
            "attach": {"client_id": "app-a", "certificate": "tls/workload.pem"},
        },
        "w": {"policy": "policy-a.yaml", "issuer": issuer, "attach": {"client_id": "app-a", "spiffe_id": APP_A}},
        "g": {"policy": "policy-a.yaml", "attach": {"issuer": asked | _identity("workload")}},
        "h": {"policy": "policy-a.yaml", "attach": {"issuer": asked | _identity("asker") | {"binding": "workload"}}},
        "s": {"policy": "policy-s.yaml", "attach": {"signing_keys": _SIGNING_KEYS}, "reload": {"every": "100ms"}},
        "b": {"policy": "policy-b.yaml", "trust": trust, "partners": "partners.yaml"},
    }
    for name, tree in kinds.items():
        address, [admin] = f"unix://{folder}/{name}.check.sock", free_ports(1)
        common: Tree = {
            "listen": {"check": address, "admin": f"127.0.0.1:{admin}"},
            "audit": {"path": f"audit-{name}/"},
            "expose_reasons": True,
            "drain": {"wait": "0ms", "grace": "1s"},
        }
        config = folder / f"{name}.yaml"
        config.write_text(json.dumps(common | tree), encoding="utf-8")
        yield CheckServer(name, (address,), admin, config)


def _issuer(folder: Path) -> Tree:
    """Write down an issuer's configuration, and return how it is asked."""
    listen, grpc = (f"127.0.0.1:{port}" for port in free_ports(2))
    tls = {"certificate": "tls/issuer.pem", "key": "tls/issuer-key.pem", "client_ca": "tls/ca.pem"}
    tree = {"issuer": {"url": ISSUER, "listen": listen, "grpc": grpc, "tls": tls}}
    (folder / "issuer.yaml").write_text(json.dumps(tree), encoding="utf-8")
    return {"address": grpc, "ca": "tls/ca.pem"}


def _identity(name: str) -> Tree:
    return {"certificate": f"tls/{name}.pem", "key": f"tls/{name}-key.pem"}
