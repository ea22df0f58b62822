"""TLS with servers that speak it themselves (redis-server), in every deployment, and every way to get it wrong."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import UsedListError
from ott_extauthz.sections.store import Store
from tests.deployed_lists import TIMEOUT, eventually, fresh, outcome_of
from tests.deployments import Independent, Sharded, Watched, independent, sharded, watched
from tests.fakes.certificates import Authority
from tests.processes import REDIS, StoreProcess, running
from tests.used_lists import FIRST, PATIENT, USED, listed, replay_of, settings_for

pytestmark = pytest.mark.skipif(REDIS.program is None, reason=REDIS.why_not)


@dataclass(frozen=True)
class Files:
    """A certificate authority, and what servers and clients have of it."""

    ca: Path
    other_ca: Path
    server: tuple[Path, Path]
    client: tuple[Path, Path]

    @property
    def directives(self) -> dict[str, str]:
        """Every connection shows a certificate: clients', replicas', sentinels', the cluster bus's."""
        return {
            "tls_cert_file": str(self.server[0]),
            "tls_key_file": str(self.server[1]),
            "tls_ca_cert_file": str(self.ca),
            "tls_replication": "yes",
        }

    def settings(self, url: str, **changes: Path | None) -> Store:
        files = {"ca": self.ca, "certificate": self.client[0], "key": self.client[1], **changes}
        return settings_for(url, timeout=PATIENT, **{name: path for name, path in files.items() if path is not None})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder, authority = tmp_path_factory.mktemp("tls"), Authority("store root")
    (folder / "ca.pem").write_bytes(authority.pem)
    (folder / "other.pem").write_bytes(Authority("forger").pem)
    server = authority.leaf("store", ips=("127.0.0.1",)).write(folder, "store")
    return Files(folder / "ca.pem", folder / "other.pem", server, authority.leaf("ott").write(folder, "client"))


Deployment = StoreProcess | Watched | Sharded | Independent


def _deployed(kind: str, folder: Path, tls: dict[str, str]) -> AbstractContextManager[Deployment]:
    if kind == "sentinel":
        return watched(REDIS, folder, replicas=1, tls=tls)
    if kind == "cluster":
        return sharded(REDIS, folder, tls={**tls, "tls_cluster": "yes"})
    if kind == "quorum":
        return independent(REDIS, folder, tls=tls)
    return running(REDIS, folder, tls=True, **tls)


@pytest.fixture(scope="module", params=["single", "sentinel", "cluster", "quorum"])
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, files: Files
) -> Iterator[Deployment]:
    with _deployed(request.param, tmp_path_factory.mktemp(request.param), files.directives) as started:
        yield started


async def told(settings: Store) -> str:
    """Expect a refusal; return what the operator reads."""
    async with listed(settings) as used_list:
        health = await used_list.health()
        with pytest.raises(UsedListError) as caught:
            await used_list.mark_used(fresh(), timeout=TIMEOUT)
    assert caught.value.token_state is TokenState.UNSPENT
    assert not health.ready
    assert "\n" not in health.detail
    return health.detail


async def test_a_use_is_spent_once_with_certificates_on_both_sides(deployment: Deployment, files: Files) -> None:
    async with listed(files.settings(deployment.url)) as used_list:
        assert (await used_list.health()).ready, (await used_list.health()).detail
        for bucket in range(0, 256, 16):
            use = fresh(bucket=bucket)
            assert await outcome_of(used_list, use) is FIRST
            assert await outcome_of(used_list, replay_of(use)) is USED


async def test_without_a_client_certificate_nothing_opens(deployment: Deployment, files: Files) -> None:
    assert "store.certificate" in await told(files.settings(deployment.url, certificate=None, key=None))


async def test_another_authority_is_not_believed(deployment: Deployment, files: Files) -> None:
    assert "mend store.ca" in await told(files.settings(deployment.url, ca=files.other_ca))


async def test_the_systems_authorities_are_not_believed_beside_ours(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any public authority could otherwise vouch for a host that claims the store's name; redis-py would let it."""
    forger = Authority("public")
    (tmp_path / "public.pem").write_bytes(forger.pem)
    certificate, key = forger.leaf("store", ips=("127.0.0.1",)).write(tmp_path, "store")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "public.pem"))
    own = {**files.directives, "tls_cert_file": str(certificate), "tls_key_file": str(key)}
    with running(REDIS, tmp_path / "data", tls=True, **own) as store:
        assert "mend store.ca" in await told(files.settings(store.url))
        async with listed(files.settings(store.url, ca=None)) as used_list:
            assert await outcome_of(used_list, fresh()) is FIRST


async def test_a_certificate_with_another_name_is_not_believed(deployment: Deployment, files: Files) -> None:
    detail = await told(files.settings(deployment.url.replace("127.0.0.1", "localhost")))
    assert "not valid for 'localhost'" in detail
    assert "the host in store.url" in detail


async def test_plaintext_to_a_tls_port_is_told(deployment: Deployment) -> None:
    assert "rediss" in await told(settings_for(deployment.url.replace("rediss", "redis")))


async def test_tls_to_a_plaintext_port_is_told(deployment: Deployment, files: Files) -> None:
    url = deployment.url
    for server in _addressed(deployment):
        url = url.replace(str(server.tls_port), str(server.port))
    detail = await told(files.settings(url))
    assert "TLS" in detail
    assert "store.url" in detail


async def test_a_failover_under_tls_is_followed(tmp_path: Path, files: Files) -> None:
    with watched(REDIS, tmp_path, replicas=1, tls=files.directives) as group:
        async with listed(files.settings(group.url)) as used_list:
            use = fresh()
            assert await outcome_of(used_list, use) is FIRST
            group.primary.kill()
            await eventually(used_list, FIRST)
            assert await outcome_of(used_list, replay_of(use)) is not FIRST


def _addressed(deployment: Deployment) -> list[StoreProcess]:
    if isinstance(deployment, Watched):
        return [*deployment.sentinels]
    return [deployment] if isinstance(deployment, StoreProcess) else deployment.servers
