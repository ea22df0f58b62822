"""Every way to name a wrong store, through the command line: what is printed, what /readyz says, and that none spends.

What the files alone show ends `config check` and `serve` with 1.  What only the running store shows is logged once and
stands in /readyz, every Check is refused, and the server recovers without a restart once the store is mended.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub
from typer.testing import CliRunner

from ott_extauthz.cli import app
from tests.cli.conftest import COMMAND, POLICY, Folder, fetch
from tests.deployments import until
from tests.fakes.certificates import Authority
from tests.fakes.issuer import FakeIssuer
from tests.fakes.old_redis import old_redis
from tests.fakes.requests import check_request
from tests.postgres import USER, WHY_NOT, postgres, standby_of
from tests.processes import REDIS, VALKEY, StoreProcess, free_port, running

SECRET = "hunter2secret"
AHEAD = "import time\nreal = time.time_ns\ntime.time_ns = lambda: real() + 3_000_000_000\n"
"""A sitecustomize: the machine of the Check server is three seconds ahead."""


class Site(Folder):
    """A folder with everything a Check server reads, but for the store."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.admin = free_port()
        (path / "policy.yaml").write_text(POLICY)
        (path / "jwks.json").write_bytes(FakeIssuer().jwks())

    def store(self, text: str) -> None:
        self.configure(
            f"trust: [{{issuer: {FakeIssuer().issuer}, jwks: jwks.json, algorithms: [EdDSA]}}]\npolicy: policy.yaml\n"
            f"drain: {{wait: 0ms, grace: 1s}}\nclock: {{max_skew: 200ms, iat_lead: 1ms}}\n"
            f"listen: {{check: 'unix://{self.path}/c.sock', admin: '127.0.0.1:{self.admin}'}}\nstore: {text}\n"
        )

    def secret(self, name: str, text: str = SECRET) -> str:
        path = self.path / name
        path.touch(mode=0o600)
        path.write_text(text)
        return name

    def readyz(self) -> str:
        return fetch(f"http://127.0.0.1:{self.admin}/readyz?verbose")[1]

    def check(self) -> CheckResponse:
        """Ask with a fresh token, as Envoy would."""
        now_ms = time.time_ns() // 1_000_000  # noqa: TID251 - a real client's clock
        issuer = FakeIssuer()
        token = issuer.token(issuer.claims(now_ms, jti=os.urandom(16).hex(), cnf=None))
        request = check_request(method="GET", path="/report", headers=(("x-ott", token),))
        with grpc.insecure_channel(f"unix:{self.path}/c.sock") as channel:
            response: CheckResponse = AuthorizationStub(channel).Check(request, timeout=5)
            return response


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@contextmanager
def serving(site: Site, **environment: str) -> Iterator[Path]:
    """Serve for the length of a block; yields the file with what is printed."""
    printed = site.path / "printed"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTT_")} | environment
    with printed.open("wb") as file:
        process = subprocess.Popen([*COMMAND, "serve"], cwd=site.path, env=environ, stdout=file, stderr=file)
    try:
        until(lambda: bool(site.readyz()) or process.poll() is not None, "it does not serve", seconds=60)
        assert process.poll() is None, printed.read_text()
        yield printed
    finally:
        process.terminate()
        process.wait(60)


# --- What the files alone show.


@pytest.mark.parametrize(
    ("store", "told"),
    [
        ("mysql://h", "store: a store is one of memory://, sqlite://"),
        ("redis+unix:///run/redis.sock", "store: a store is one of memory://"),
        ("'redis://'", "store: a Redis store needs a host in store.url"),
        ("redis:///0", "store: a Redis store needs a host in store.url"),
        ("'redis://h:port'", "store: store.url: a server is written host[:port]"),
        ("'redis://h:70000'", "a port up to 65535"),
        ("'redis://::1:6379'", "store: store.url: an IPv6 address stands in brackets, [::1]:6379"),
        ("'redis://[::g]:6379'", "store: store.url has no IPv6 address between its brackets"),
        ("'redis://[1.2.3.4]'", "store: store.url has no IPv6 address between its brackets"),
        ("'redis+sentinel://a,b,c'", "the name as the sentinels know it"),
        ("'redis+cluster://a/1'", "a cluster has no databases"),
        ("'redis+quorum://a,b'", "a quorum has 3 or 5 servers"),
        ("'sqlite://relative/file'", "store.url is written sqlite:///absolute/path"),
        ("'postgresql://h'", "store.url is written postgresql://[user@]host[:port]/database"),
        ("'postgresql:///database'", "store.url is written postgresql://[user@]host[:port]/database"),
        (f"'redis://:{SECRET}@h'", "use password_file"),
        (f"'redis://u:{SECRET}@h'", "use password_file"),
        (f"'redis://u:{SECRET}/x@h'", "store.url is written redis://"),
        (f"'redis://u:{SECRET}#x@h'", "store.url is written redis://"),
        (f"'redis://h/0?password={SECRET}'", "store.url is written redis://"),
        (f"'redis+quorum://u:{SECRET}@a,b,c'", "use password_file"),
        (f"'redis+sentinel://u:{SECRET}@x@a/ott'", "store.url is written redis+sentinel://"),
        (f"'postgresql://u:{SECRET}@h/db'", "use password_file"),
        ("{url: 'redis://h', password_file: absent}", "store.password_file: {folder}/absent cannot be read: No such"),
        ("{url: 'redis://h', password_file: empty}", "store.password_file: {folder}/empty is empty"),
        (
            "{url: 'redis+sentinel://h/ott', sentinel_password_file: absent}",
            "store.sentinel_password_file: {folder}/absent cannot be read",
        ),
        ("{url: 'redis://h', sentinel_password_file: absent}", "sentinel_password_file is for redis+sentinel://"),
        ("{url: 'rediss://h', ca: absent}", "store.ca: {folder}/absent cannot be read"),
        ("{url: 'rediss://h', ca: pw}", "store.ca: {folder}/pw holds no certificate"),
        ("{url: 'rediss://h', certificate: a.pem, key: absent}", "store.key: {folder}/absent cannot be read"),
        ("{url: 'rediss://h', certificate: a.pem, key: b-key.pem}", "store.key: {folder}/b-key.pem is no unencrypted"),
        ("{url: 'rediss://h', key: a-key.pem}", "key needs certificate"),
        ("{url: 'redis://h', ca: a.pem}", "which this URL does not speak"),
        ("{url: 'postgresql://h/db', certificate: a.pem, key: a-key.pem}", "certificate needs it"),
    ],
)
def test_a_mistake_in_the_files_ends_with_its_place(site: Site, store: str, told: str) -> None:
    authority = Authority()
    for name in ("a", "b"):
        authority.leaf(name).write(site.path, name)
    site.secret("pw")
    site.secret("empty", "\n")
    site.store(store)
    for command in (["config", "check"], ["serve"]):
        done = CliRunner().invoke(app, [*command, "-c", str(site.path / "ott.yaml")])
        assert done.exit_code == 1
        assert told.replace("{folder}/", "") in done.stderr.replace(f"{site.path}/", "")
        assert "ott.yaml" in done.stderr
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stdout + done.stderr


# --- What only the running store shows.

Case = tuple[str, dict[str, str], Callable[[], object] | None]
"""What stands behind `store:`, the server's environment, and how to mend the store; None where that needs a restart."""


def _down(site: Site, stack: ExitStack) -> Case:
    store = StoreProcess(VALKEY, site.path / "data")
    stack.callback(store.kill)
    return store.url, {}, store.start


def _unknown_host(_: Site, __: ExitStack) -> Case:
    return "redis://no-such-host.invalid", {}, None


def _password(site: Site, stack: ExitStack) -> Case:
    site.secret("pw", f"{SECRET}x")
    store = stack.enter_context(running(VALKEY, site.path / "data", requirepass=SECRET))
    return f"{{url: '{store.url}', password_file: pw}}", {}, lambda: site.secret("pw")


def _rights(site: Site, stack: ExitStack) -> Case:
    site.secret("pw")
    store = stack.enter_context(running(REDIS, site.path / "data"))
    grant = ["ACL", "SETUSER", "ott", "on", f">{SECRET}", "~ott:*", "+evalsha", "+script|load", "+info", "+get", "+set"]
    store.command(*grant)
    url = store.url.replace("//", "//ott@")
    return f"{{url: '{url}', password_file: pw}}", {}, lambda: store.command("ACL", "SETUSER", "ott", "+time")


def _replica(site: Site, stack: ExitStack) -> Case:
    primary = stack.enter_context(running(VALKEY, site.path / "primary"))
    follows = f"127.0.0.1 {primary.port}"
    replica = stack.enter_context(running(VALKEY, site.path / "replica", replicaof=follows))
    return replica.url, {}, lambda: replica.command("REPLICAOF", "NO", "ONE")


def _evicting(site: Site, stack: ExitStack) -> Case:
    folder = site.path / "data"
    store = stack.enter_context(running(VALKEY, folder, maxmemory="100mb", maxmemory_policy="allkeys-lru"))
    return store.url, {}, lambda: store.command("CONFIG", "SET", "maxmemory-policy", "noeviction")


def _too_old(_: Site, stack: ExitStack) -> Case:
    return stack.enter_context(old_redis()), {}, None


def _clock(site: Site, stack: ExitStack) -> Case:
    (site.path / "sitecustomize.py").write_text(AHEAD)
    store = stack.enter_context(running(VALKEY, site.path / "data"))
    return store.url, {"PYTHONPATH": str(site.path)}, None


def _cluster_as_single(site: Site, stack: ExitStack) -> Case:
    folder, bus = site.path / "data", str(free_port())
    return stack.enter_context(running(VALKEY, folder, cluster_enabled="yes", cluster_port=bus)).url, {}, None


def _disk(site: Site, stack: ExitStack) -> Case:
    """Snapshots fail: their file's name is a folder's.  The server then refuses every write."""
    store = stack.enter_context(running(VALKEY, site.path / "data", save="3600 1", dbfilename="dump.rdb"))
    (site.path / "data" / "dump.rdb").mkdir()
    store.command("SET", "a", "b")
    store.command("BGSAVE")
    until(lambda: store.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot did not fail")

    def mend() -> None:
        (site.path / "data" / "dump.rdb").rmdir()
        store.command("SAVE")

    return store.url, {}, mend


def _tls(site: Site, folder: Path, stack: ExitStack, *ips: str) -> StoreProcess:
    authority = Authority()
    (site.path / "ca.pem").write_bytes(authority.pem)
    certificate, key = authority.leaf(ips=ips).write(site.path, "store")
    own = {"tls_cert_file": str(certificate), "tls_key_file": str(key), "tls_ca_cert_file": str(site.path / "ca.pem")}
    return stack.enter_context(running(REDIS, folder, tls=True, tls_auth_clients="no", **own))


def _other_name(site: Site, stack: ExitStack) -> Case:
    return f"{{url: '{_tls(site, site.path / 'data', stack, '127.0.0.2').url}', ca: ca.pem}}", {}, None


def _other_authority(site: Site, stack: ExitStack) -> Case:
    store = _tls(site, site.path / "data", stack, "127.0.0.1")
    right = (site.path / "ca.pem").read_bytes()
    (site.path / "ca.pem").write_bytes(Authority().pem)
    return f"{{url: '{store.url}', ca: ca.pem}}", {}, lambda: (site.path / "ca.pem").write_bytes(right)


def _plain_to_tls(site: Site, stack: ExitStack) -> Case:
    return _tls(site, site.path / "data", stack, "127.0.0.1").url.replace("rediss", "redis"), {}, None


def _tls_to_plain(site: Site, stack: ExitStack) -> Case:
    store = stack.enter_context(running(VALKEY, site.path / "data"))
    return store.url.replace("redis", "rediss"), {}, None


def _standby(_: Site, stack: ExitStack) -> Case:
    primary = stack.enter_context(postgres())
    standby = stack.enter_context(standby_of(primary))
    return standby.url, {}, standby.promote


def _no_database(_: Site, stack: ExitStack) -> Case:
    server = stack.enter_context(postgres())
    url = server.url.replace("/postgres", "/absent").replace("//absent", "//postgres")
    return url, {}, lambda: server.sql("CREATE DATABASE absent")


def _forgetful(_: Site, stack: ExitStack) -> Case:
    return stack.enter_context(postgres(fsync="off")).url, {}, None


def _no_folder(site: Site, _: ExitStack) -> Case:
    return f"sqlite://{site.path}/absent/used.db", {}, (site.path / "absent").mkdir


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (_down, "Connection refused; mend store.url"),
        (_unknown_host, "its host is unknown (Name or service not known); mend store.url"),
        (_password, "the user or the password is refused; mend store.password_file, or the user in store.url"),
        (_rights, "the user of store.url lacks a permission that docs/stores.md lists: +time"),
        (_replica, "it is a replica; store.url must name the primary"),
        (_evicting, "set its maxmemory-policy to noeviction"),
        (_too_old, "Redis 6.2.14 is too old; Redis 7.0 or Valkey is needed; mend store.url"),
        (_clock, "behind ours; mend NTP on either machine, or clock.max_skew (200 ms)"),
        (_cluster_as_single, "the cluster has slots without a primary; see its log"),
        (_disk, "the store cannot persist and so refuses writes; see its log (MISCONF"),
        (_other_name, "its certificate is refused (IP address mismatch"),
        (_other_authority, "mend store.ca, or the host in store.url"),
        (_plain_to_tls, "one that wants TLS is written rediss:// in store.url"),
        (_tls_to_plain, "mend store.url, its scheme included"),
        (_standby, "store.url must name the primary"),
        (_no_database, "there is no such database; mend store.url"),
        (_forgetful, "fsync"),
        (_no_folder, "mend store.url"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_store_that_cannot_serve_is_told_refused_and_may_recover(
    site: Site, build: Callable[[Site, ExitStack], Case], told: str
) -> None:
    if build in (_rights, _other_name, _other_authority, _plain_to_tls) and REDIS.program is None:
        pytest.skip(REDIS.why_not)
    if build in (_standby, _no_database, _forgetful) and WHY_NOT:
        pytest.skip(WHY_NOT)
    with ExitStack() as stack:
        store, environment, mend = build(site, stack)
        site.store(store)
        checked = site.run("config", "check")
        assert checked.returncode == 0, checked.stderr
        with serving(site, **environment) as printed:
            first = _lines(printed, "store not ready")
            assert [told in line["detail"] for line in first] == [True], first
            assert told in site.readyz()
            for _ in range(7):  # past the circuit, too
                refused = site.check()
                assert refused.denied_response.status.code == 503
                assert refused.dynamic_metadata["reason"].startswith("store_")
            if mend is not None:
                mend()
                until(lambda: site.check().HasField("ok_response"), "it does not recover")
                assert "not ready" not in site.readyz()
                assert len(_lines(printed, "store ready")) == 1
        assert SECRET not in printed.read_text()


def _lines(printed: Path, event: str) -> list[dict[str, str]]:
    """The lines that tell of an event, once there is one: the log is written by a thread of its own."""

    def found() -> list[dict[str, str]]:
        lines = [json.loads(line) for line in printed.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if line["event"] == event]

    until(lambda: bool(found()), f"no line says {event}")
    return found()


@pytest.mark.parametrize("host", ["[::1]", "localhost"])
def test_an_address_may_be_ipv6_or_a_name(site: Site, host: str) -> None:
    with running(VALKEY, site.path / "data", bind="127.0.0.1 ::1") as store:
        site.store(f"'redis://{host}:{store.port}'")
        with serving(site) as printed:
            until(lambda: site.check().HasField("ok_response"), "it does not allow")
            assert f"store: {host}:{store.port}: Valkey" in site.readyz()
            [ready] = _lines(printed, "store ready")
            assert "persistence: none" in ready["detail"]


def test_who_spends_in_postgresql_is_told(site: Site) -> None:
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    with postgres() as server:
        server.sql("CREATE ROLE nobody LOGIN")
        site.store(server.url.replace(f"//{USER}@", "//nobody@"))
        with serving(site) as printed:
            [line] = _lines(printed, "store not ready")
            assert "the user of store.url lacks a permission" in line["detail"]
