"""Access tokens of oidc-provider, found by discovery, through a real Envoy; its keys turn while we serve."""

import base64
import json
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from ott_extauthz.authn.foreign_claims import ForeignTerms
from ott_extauthz.authn.foreign_tokens import ForeignTokenVerifier
from ott_extauthz.authn.jwks import issuer_from
from ott_extauthz.authn.key_set_schedule import FLOOR_SECONDS
from ott_extauthz.demo import pki
from ott_extauthz.demo.ports import free_ports
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from tests.e2e.calling import Caller, Header, exchange, request
from tests.e2e.conftest import envoy
from tests.e2e.gateway import Places, configuration
from tests.e2e.listeners import LISTENERS
from tests.e2e.rig import Answer
from tests.e2e.servers import CheckServer, Server, answers, fetched, wait_until
from tests.e2e.upstream import Upstream
from tests.fakes.certificates import Authority
from tests.interop.conftest import HERE

__all__ = ["envoy"]  # a fixture

WITHIN_SECONDS = 60
RESOURCES = {"https://wallet.example/": "wallet.api", "https://other.example/": "other.api"}
UNBOUND = {"bound_to": [], "unbound": "accept the risk"}
LOGIN = "https://login.casino.example"


def _route(path: str, **more: Any) -> dict[str, Any]:
    asked = {"credential": "access_token", "audience": "wallet.api", "scopes": ["wallet:read"], **UNBOUND}
    return {"name": path[1:], "match": {"hosts": ["wallet.api"], "methods": ["POST"], "path": path}, **asked, **more}


POLICY = {
    "revision": "1",
    "routes": [
        _route("/header"),
        _route("/cookie", **{"from": {"cookie": "__Host-session"}}),
        _route("/mandate", credential="mandate"),
        _route("/once", credential="one_time_token"),
    ],
}


@dataclass(kw_only=True)
class Idp:
    """oidc-provider at work: what it says of itself, and how it is told to turn its keys."""

    program: subprocess.Popen[str]
    context: ssl.SSLContext
    told: dict[str, Any]

    def asks(self, line: str) -> dict[str, Any]:
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.program.stdin.write(line + "\n")
        self.program.stdin.flush()
        answer: dict[str, Any] = json.loads(self.program.stdout.readline())
        return answer

    def token(self, scope: str = "wallet:read", resource: str = "https://wallet.example/") -> str:
        form = urlencode({"grant_type": "client_credentials", "scope": scope, "resource": resource})
        basic = base64.b64encode(f"{self.told['client_id']}:{self.told['client_secret']}".encode()).decode()
        asked = urllib.request.Request(  # noqa: S310 - https on loopback
            f"{self.told['issuer']}/token", form.encode(), {"Authorization": f"Basic {basic}"}
        )
        with urllib.request.urlopen(asked, timeout=WITHIN_SECONDS, context=self.context) as response:  # noqa: S310
            return str(json.load(response)["access_token"])


@dataclass(kw_only=True)
class Rig:
    """Envoy, the Check server behind it, the upstream and the foreign issuer."""

    ports: dict[str, int]
    caller: Caller
    upstream: Upstream
    idp: Idp
    check: CheckServer
    servers: list[Server]
    ready_at: float = 0.0

    def call(self, path: str, *headers: Header, listener: str = "shipped") -> Answer:
        case = token_hex(8)
        sent: list[Header] = [("host", "wallet.api"), ("x-case", case), *headers, ("content-length", "0")]
        reply = exchange(self.ports[listener], self.caller.context, request("POST", path, sent))
        return Answer(reply, case, self.upstream.deliveries(case))

    def told(self) -> str:
        return "\n\n".join(server.told() for server in self.servers)


def bearer(token: str) -> Header:
    return "authorization", f"Bearer {token}"


@contextmanager
def _idp(node: str, folder: Path) -> Iterator[Idp]:
    authority = Authority()
    (folder / "idp-ca.pem").write_bytes(authority.pem)
    leaf = authority.leaf("idp", ips=("127.0.0.1",))
    command = [node, "--throw-deprecation", str(HERE / "access-tokens.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        idp = Idp(program=program, context=ssl.create_default_context(cafile=folder / "idp-ca.pem"), told={})
        try:
            job = {"cert": leaf.pem.decode(), "key": leaf.key_pem.decode(), "audiences": RESOURCES}
            idp.told = idp.asks(json.dumps(job))
            yield idp
        finally:
            assert program.stdin is not None
            program.stdin.close()
            try:
                program.wait(10)
            except subprocess.TimeoutExpired:
                program.kill()


def _check_server(folder: Path, issuer: str) -> CheckServer:
    [admin] = free_ports(1)
    address = f"unix://{folder}/check.sock"
    entry = {
        "issuer": issuer, "discovery": "openid-configuration", "algorithms": ["ES256"], "ca": "idp-ca.pem",
        "access_tokens": {},
    }  # fmt: skip
    tree = {
        "listen": {"check": address, "admin": f"127.0.0.1:{admin}"}, "trust": [entry], "policy": "policy.yaml",
        "expose_reasons": True, "drain": {"wait": "0ms", "grace": "1s"},
    }  # fmt: skip
    (folder / "policy.yaml").write_text(json.dumps(POLICY))
    (folder / "ott.yaml").write_text(json.dumps(tree))
    return CheckServer("ott", (address,), admin, folder / "ott.yaml")


def _caller(folder: Path) -> Caller:
    authority = pki.Authority("access")
    tls = folder / "tls"
    tls.mkdir()
    authority.write(tls)
    authority.issue("server", server=True, ips=("127.0.0.1",)).write(tls, "server")
    for name in ("rgs", "gateway"):
        authority.issue(name).write(tls, name)
    return Caller(tls, "rgs")


@contextmanager
def _envoy(folder: Path, binary: Path, places: Places) -> Iterator[tuple[Server, dict[str, int]]]:
    listeners = tuple(one for one in LISTENERS if one.name in ("shipped", "merged"))
    config, admin = folder / "envoy.json", folder / "admin.txt"
    config.write_text(json.dumps(configuration(places, listeners)))
    options = ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
    options += ["--admin-address-path", str(admin)]
    with Server("envoy", [binary, "-c", config, *options], folder) as server:

        def is_up() -> bool:
            assert server.process.poll() is None, server.told()
            return admin.exists() and answers(f"http://{admin.read_text()}/ready")

        wait_until(is_up, server.told, WITHIN_SECONDS)
        told = json.loads(fetched(f"http://{admin.read_text()}/listeners?format=json"))["listener_statuses"]
        ports = {one["name"]: one["local_address"].get("socket_address", {}).get("port_value", 0) for one in told}
        yield server, ports


@pytest.fixture(scope="module")
def rig(node: str, envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("access")
    with ExitStack() as stack:
        caller = _caller(folder)
        upstream = stack.enter_context(Upstream().running())
        idp = stack.enter_context(_idp(node, folder))
        check = _check_server(folder, idp.told["issuer"])
        servers = [stack.enter_context(check.start())]
        places = Places(folder, upstream.port, upstream.port, {"ott": check.addresses})
        server, ports = stack.enter_context(_envoy(folder, envoy, places))
        rig = Rig(ports=ports, caller=caller, upstream=upstream, idp=idp, check=check, servers=[*servers, server])
        wait_until(check.is_ready, rig.told, WITHIN_SECONDS)
        rig.ready_at = time.monotonic()
        token = idp.token()
        wait_until(lambda: rig.call("/header", bearer(token)).status == 200, rig.told, WITHIN_SECONDS)
        yield rig


def test_a_foreign_token_passes_and_ends_at_the_proxy(rig: Rig) -> None:
    token = rig.idp.token()
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    for _ in range(2):
        answer = rig.call("/header", bearer(token))
        assert answer.outcome == (200, None)
        assert answer.delivery.all("authorization") == []
        assert answer.delivery.all("x-ott-client") == ["lobby"]
        assert answer.delivery.all("x-ott-scope") == ["wallet:read"]


def test_a_foreign_token_is_good_for_nothing_else(rig: Rig) -> None:
    token = rig.idp.token()
    other = rig.idp.token(resource="https://other.example/")
    assert rig.call("/header", bearer(other)).outcome == (401, "token_audience_mismatch")
    assert rig.call("/header", bearer(rig.idp.token("wallet:debit"))).outcome == (403, "scope_missing")
    assert rig.call("/header", bearer(f"{token[:-8]}AAAAAAAA")).outcome == (401, "token_signature_invalid")
    assert rig.call("/header", bearer(token), bearer(token)).outcome[0] == 400
    assert rig.call(f"/header?access_token={token}").outcome == (401, "credential_missing")
    assert rig.call("/mandate", bearer(token)).outcome == (401, "token_issuer_unknown")
    assert rig.call("/once", ("x-ott", token)).outcome == (401, "token_type_refused")


@pytest.mark.parametrize("listener", ["shipped", "merged"])
def test_a_token_in_a_cookie_leaves_the_other_cookies(rig: Rig, listener: str) -> None:
    cookie, same = f"theme=dark; __Host-session={rig.idp.token()}; lang=de", ("sec-fetch-site", "same-origin")
    answer = rig.call("/cookie", ("cookie", cookie), same, listener=listener)
    assert answer.outcome == (200, None)
    assert answer.delivery.all("cookie") == ["theme=dark; lang=de"]
    assert rig.call("/cookie", ("cookie", cookie), listener=listener).outcome == (403, "cross_site_request")
    alone = rig.call("/cookie", ("cookie", cookie.split("; ")[1]), same, listener=listener)
    assert (alone.outcome, alone.delivery.all("cookie")) == ((200, None), [])


def test_two_cookie_lines_are_read_apart_or_not_at_all(rig: Rig) -> None:
    """Merged mode joins them by a comma, which is no separator of cookies: nobody can tell what was sent."""
    same = ("sec-fetch-site", "same-origin")
    lines = [("cookie", "theme=dark"), ("cookie", f"__Host-session={rig.idp.token()}"), ("cookie", "lang=de")]
    answer = rig.call("/cookie", *lines, same)
    assert (answer.outcome, answer.delivery.all("cookie")) == ((200, None), ["theme=dark; lang=de"])
    assert rig.call("/cookie", *lines, same, listener="merged").outcome == (400, "credential_duplicated")


def test_a_new_key_is_accepted_within_one_fetch(rig: Rig) -> None:
    """Nobody announced it; the floor between two fetches has passed, so that the first token waits for the fetch."""
    wait_until(lambda: time.monotonic() - rig.ready_at > FLOOR_SECONDS, lambda: "a clock that stands", WITHIN_SECONDS)
    before, old = rig.idp.asks("count")["fetched"], rig.idp.token()
    rig.idp.asks("turn")
    new = rig.idp.token()
    assert jwt.get_unverified_header(new)["kid"] != jwt.get_unverified_header(old)["kid"]
    wait_until(lambda: rig.call("/header", bearer(new)).status == 200, rig.told, WITHIN_SECONDS)
    assert rig.call("/header", bearer(old)).status == 200
    assert rig.idp.asks("count")["fetched"] == before + 1


def test_its_id_token_is_no_access_token(node: str) -> None:
    """A user's login: the very issuer, key and client; told apart by what the tokens say."""
    job = {"issuer": LOGIN, "audience": "wallet.api", "user": "player-7", "acr": "urn:bank:high", "amr": ["pwd"]}
    command = [node, "--throw-deprecation", str(HERE / "oidc-provider.mjs")]
    job["audience"] = "https://wallet.example/"
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    now_ms = jwt.decode(found["access_token"], options={"verify_signature": False})["iat"] * 1000
    trust = {LOGIN: issuer_from(LOGIN, frozenset({"ES256"}), json.dumps(found["jwks"]).encode())}
    for terms in (ForeignTerms(), ForeignTerms(is_plain=True), ForeignTerms(is_plain=True, client_claim="aud")):
        judge = ForeignTokenVerifier(trust=trust, terms={LOGIN: terms}, iat_lead_ms=5000, exp_leeway_ms=2000)
        for audience in ("https://wallet.example/", "lobby"):
            refused = judge.verify(found["id_token"], audience=audience, now_ms=now_ms)
            assert refused == Rejection(Reason.TOKEN_TYPE_REFUSED)
    judge = ForeignTokenVerifier(trust=trust, terms={LOGIN: ForeignTerms()}, iat_lead_ms=5000, exp_leeway_ms=2000)
    token = judge.verify(found["access_token"], audience="https://wallet.example/", now_ms=now_ms)
    assert isinstance(token, VerifiedToken)
    assert (token.subject, token.client_id) == ("player-7", "lobby")
