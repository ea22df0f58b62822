"""The issuer behind a real Envoy that speaks TLS to the clients: their certificates come in XFCC."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.demo.ports import free_ports
from ott_extauthz.wire.http_server import serve_http
from tests.e2e.servers import Server
from tests.fakes.certificates import Authority, Leaf
from tests.issuer_bank import FORM, RGS, Bank, build_issuer

TYPES = "type.googleapis.com/envoy.extensions"
OTHER = "spiffe://bank.example/batch"


def certificate(folder: Path, name: str) -> dict[str, Any]:
    return {
        "certificate_chain": {"filename": str(folder / f"{name}.pem")},
        "private_key": {"filename": str(folder / f"{name}-key.pem")},
    }


def configuration(folder: Path, port: int, mode: str, upstream: int | None) -> dict[str, Any]:
    """An Envoy with mTLS in front; the issuer behind it over TLS on ``upstream``, or over its Unix socket."""
    trusted = {"trusted_ca": {"filename": str(folder / "ca.pem")}}
    address: dict[str, Any] = {"pipe": {"path": str(folder / "issuer.sock")}}
    if upstream is not None:
        address = {"socket_address": {"address": "127.0.0.1", "port_value": upstream}}
    cluster: dict[str, Any] = {
        "name": "issuer",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "issuer",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    if upstream is not None:
        cluster["transport_socket"] = {
            "name": "tls",
            "typed_config": {
                "@type": f"{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": {
                    "tls_certificates": [certificate(folder, "proxy")],
                    "validation_context": trusted,
                },
            },
        }
    route = {"match": {"prefix": "/"}, "route": {"cluster": "issuer"}}
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "issuer",
        "forward_client_cert_details": mode,
        "set_current_client_cert_details": {"cert": True, "uri": True, "dns": True},
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
        },
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}},
        ],
    }
    tls = {
        "name": "tls",
        "typed_config": {
            "@type": f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_certificates": [certificate(folder, "server")],
                "validation_context": trusted,
            },
        },
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}], "transport_socket": tls}
    listener = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}, "filter_chains": [chain]}
    return {"static_resources": {"listeners": [{"name": "front"} | listener], "clusters": [cluster]}}


@asynccontextmanager
async def fronted(bank: Bank, envoy: Path, mode: str, *, over_tls: bool) -> AsyncIterator[Bank]:
    """Serve the issuer behind an Envoy; the bank's clients then call Envoy."""
    bank.prepare()
    proxy = "spiffe://bank.example/proxy"
    bank.authority.leaf("proxy", uris=(proxy,)).write(bank.folder, "proxy")
    rule = f"client_certificate: {{source: xfcc, hop_identities: ['{proxy}']}}"
    tls = ", tls: {certificate: server.pem, key: server-key.pem, client_ca: ca.pem}" if over_tls else ""
    listen = "127.0.0.1:0" if over_tls else f"unix://{bank.folder}/issuer.sock"
    (bank.folder / "ott.yaml").write_text(f"issuer: {{url: '{bank.url}', listen: '{listen}', {rule}{tls}}}\n")
    port = free_ports(1)[0]
    async with bank.open() if over_tls else on_a_socket(bank):
        written = configuration(bank.folder, port, mode, bank.port if over_tls else None)
        (bank.folder / "envoy.json").write_text(json.dumps(written))
        words: list[str | Path] = [
            envoy,
            "-c",
            bank.folder / "envoy.json",
            "--concurrency",
            "1",
            "-l",
            "warning",
            "--use-dynamic-base-id",
        ]
        with Server("envoy", words, bank.folder) as server:
            bank.port = port
            await until_it_answers(bank, server)
            yield bank


@asynccontextmanager
async def on_a_socket(bank: Bank) -> AsyncIterator[None]:
    app = build_issuer(bank.settings, clock=bank.clock, entropy=bank.entropy, observer=bank.observer)
    runner = await serve_http(app, bank.settings.issuer.listen, setting="issuer.listen", on_fault=bank.observer.faulted)  # type: ignore[union-attr]
    yield
    await runner.cleanup()


async def until_it_answers(bank: Bank, server: Server) -> None:
    for _ in range(400):
        try:
            if (await bank.request("GET", "/healthz", None)).status == 200:
                return
        except (aiohttp.ClientError, ConnectionError):
            assert server.process.poll() is None, server.told()
        await asyncio.sleep(0.05)
    raise AssertionError(server.told())


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.mark.e2e
@pytest.mark.parametrize("over_tls", [True, False], ids=["mTLS", "socket"])
async def test_a_client_of_the_proxy_gets_its_own_token_and_forges_no_other(
    tmp_path: Path,
    envoy: Path,
    authority: Authority,
    over_tls: bool,  # noqa: FBT001 - a case
) -> None:
    rgs, batch = authority.leaf("rgs", uris=(RGS,)), authority.leaf("batch", uris=(OTHER,))
    forged = f"Hash={rgs.sha256.hex()};URI={RGS}"
    async with fronted(Bank(tmp_path, authority), envoy, "SANITIZE_SET", over_tls=over_tls) as bank:
        claims = await issued(bank, rgs)
        assert (claims["sub"], claims["cnf"]) == (RGS, {"x5t#S256": encoded(rgs.sha256)})
        for leaf in (batch, None):
            answer = await bank.token(leaf, headers={"X-Forwarded-Client-Cert": forged})
            assert answer.error == (401, "invalid_client")


@pytest.mark.e2e
async def test_under_append_forward_what_the_client_sent_is_not_the_proxys_word(
    tmp_path: Path, envoy: Path, authority: Authority
) -> None:
    rgs, batch = authority.leaf("rgs", uris=(RGS,)), authority.leaf("batch", uris=(OTHER,))
    own = f'Hash={rgs.sha256.hex()};Cert="x";URI={RGS}'
    async with fronted(Bank(tmp_path, authority), envoy, "APPEND_FORWARD", over_tls=True) as bank:
        for header in (own, f"{own},", f'{own};Subject="x', f'[{{"hash":"{rgs.sha256.hex()}"}}]', "["):
            answer = await bank.token(batch, headers={"X-Forwarded-Client-Cert": header})
            assert answer.error == (401, "invalid_client"), header
        claims = await issued(bank, rgs, {"X-Forwarded-Client-Cert": f'[{{"hash":"{batch.sha256.hex()}"}}]'})
        assert claims["sub"] == RGS  # Envoy keeps the form that the client picked: its own element came as JSON


async def issued(bank: Bank, leaf: Leaf, headers: dict[str, str] | None = None) -> dict[str, Any]:
    async with bank.session(leaf) as session, session.post("/token", data=FORM, headers=headers) as response:
        body = await response.json()
    assert response.status == 200, body
    claims: dict[str, Any] = jwt.decode(body["access_token"], options={"verify_signature": False})
    return claims
