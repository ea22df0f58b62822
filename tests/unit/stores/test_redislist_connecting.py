"""Who may connect, over what, and what an operator is told when it does not work.  Passwords are told to nobody."""

import asyncio
import secrets
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import SpendOutcome, UsedListError, UsedListFault
from ott_extauthz.sections.store import Store
from ott_extauthz.stores.redislist.list import RedisUsedList
from ott_extauthz.stores.redislist.places import Place, place_from
from tests.fakes.certificates import Authority
from tests.fakes.clock import SkewedClock
from tests.processes import REDIS, Engine, StoreProcess, running
from tests.proxies import DropProxy
from tests.used_lists import BOUNDS, FIRST, USED, a_use, listed, replay_of, settings_for

TIMEOUT = 4.0
PASSWORD = secrets.token_hex(16)
PERMISSIONS = ["+evalsha", "+script|load", "+time", "+info", "+get", "+set"]
"""All that the service's user needs, on ``~ott:*``; docs/stores.md says the same."""


async def spend(settings: Store) -> SpendOutcome:
    async with listed(settings) as used_list:
        return await used_list.mark_used(a_use(), timeout=TIMEOUT)


async def refusal(settings: Store) -> str:
    """Expect that there is no connection; return what the operator reads, after a look for the password in it."""
    async with listed(settings) as used_list:
        with pytest.raises(UsedListError) as caught:
            await used_list.mark_used(a_use(), timeout=TIMEOUT)
        health = await used_list.health()
    assert (caught.value.fault, caught.value.token_state) == (UsedListFault.CONNECT, TokenState.UNSPENT)
    assert not health.ready
    assert "\n" not in health.detail
    told = f"{caught.value!r} {caught.value} {health.detail}"
    assert PASSWORD not in told
    assert PASSWORD[:8] not in told
    return health.detail


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://store", Place("store", 6379, 0, None, is_tls=False)),
        ("redis://ott@store:7000/5", Place("store", 7000, 5, "ott", is_tls=False)),
        ("rediss://a%40b@[::1]:7000/", Place("::1", 7000, 0, "a@b", is_tls=True)),
    ],
)
def test_a_url_is_read(url: str, place: Place) -> None:
    assert place_from(url) == place


@pytest.mark.parametrize(
    "url",
    ["redis://", "redis://store/five", "redis://store/-1", "redis://store/0?ssl=0", "redis://s:port", "redis://s#1"],
)
def test_a_url_that_says_what_would_be_ignored_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"store\.url|[Pp]ort"):
        place_from(url)


async def test_another_database_is_another_list(store: StoreProcess) -> None:
    async with listed(store.url) as one, listed(f"{store.url}/5") as other:
        use = a_use()
        assert await one.mark_used(use, timeout=TIMEOUT) is FIRST
        assert await other.mark_used(replay_of(use), timeout=TIMEOUT) is FIRST
        assert await other.mark_used(replay_of(use), timeout=TIMEOUT) is USED
        assert store.command("DBSIZE") == 2


@pytest.fixture(scope="module")
def guarded(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    with running(engine, tmp_path_factory.mktemp("guarded"), requirepass=PASSWORD) as started:
        yield started


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return _written(tmp_path / "password", f"{PASSWORD}\n")


@pytest.fixture
def wrong_file(tmp_path: Path) -> Path:
    return _written(tmp_path / "wrong", f"{PASSWORD}x")


@pytest.fixture
def empty_file(tmp_path: Path) -> Path:
    return _written(tmp_path / "empty", "\n")


async def test_the_right_password_opens(guarded: StoreProcess, file: Path) -> None:
    assert await spend(settings_for(guarded.url, password_file=file)) is FIRST


async def test_a_wrong_password_does_not(guarded: StoreProcess, wrong_file: Path) -> None:
    assert "store.password_file" in await refusal(settings_for(guarded.url, password_file=wrong_file))


async def test_no_password_does_not(guarded: StoreProcess) -> None:
    assert "store.password_file" in await refusal(settings_for(guarded.url))


async def test_an_empty_or_absent_password_file_does_not(
    guarded: StoreProcess, empty_file: Path, tmp_path: Path
) -> None:
    assert "store.password_file is empty" in await refusal(settings_for(guarded.url, password_file=empty_file))
    absent = settings_for(guarded.url, password_file=tmp_path / "absent")
    assert "store.password_file cannot be read" in await refusal(absent)


async def test_a_password_that_is_not_wanted_does_not(store: StoreProcess, file: Path) -> None:
    """The operator believes that the store is guarded; it is not."""
    assert "store.password_file" in await refusal(settings_for(store.url, password_file=file))


async def test_a_rotated_password_is_read_at_the_next_connection(engine: Engine, file: Path, tmp_path: Path) -> None:
    with running(engine, tmp_path / "rotated", requirepass=PASSWORD) as store:
        async with DropProxy(store.port) as proxy, listed(settings_for(proxy.url, password_file=file)) as used_list:
            assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST
            store.command("CONFIG", "SET", "requirepass", "another", password=PASSWORD)
            _written(file, "another")
            proxy.cut()
            assert await used_list.mark_used(a_use(), timeout=TIMEOUT) is FIRST


async def test_a_server_that_quotes_the_password_is_not_repeated(engine: Engine, file: Path, tmp_path: Path) -> None:
    """Without AUTH a server complains of an unknown command *with its arguments*."""
    (tmp_path / "data").mkdir()
    with running(engine, tmp_path / "data", rename_command="AUTH WHATEVER") as store:
        await refusal(settings_for(store.url, password_file=file))
        await refusal(settings_for(store.url.replace("//", "//ott@"), password_file=file))


@pytest.fixture
def as_user(store: StoreProcess, tmp_path: Path) -> Store:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    return settings_for(store.url.replace("//", "//ott@"), password_file=file)


def _allow(store: StoreProcess, permissions: list[str]) -> None:
    store.command("ACL", "SETUSER", "ott", "reset", "on", f">{PASSWORD}", "~ott:*", *permissions)


async def test_the_documented_permissions_suffice(store: StoreProcess, as_user: Store) -> None:
    _allow(store, PERMISSIONS)
    async with listed(as_user) as used_list:
        use = a_use()
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is USED
        store.command("SCRIPT", "FLUSH")
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is USED
        assert (await used_list.health()).ready


@pytest.mark.parametrize("missing", PERMISSIONS)
async def test_no_documented_permission_is_superfluous(store: StoreProcess, as_user: Store, missing: str) -> None:
    _allow(store, [permission for permission in PERMISSIONS if permission != missing])
    async with listed(as_user) as used_list:
        with pytest.raises(UsedListError) as caught:
            await used_list.mark_used(a_use(), timeout=TIMEOUT)
        assert caught.value.token_state is TokenState.UNSPENT
        health = await used_list.health()
    assert not health.ready
    assert "permission" in health.detail or "can't run" in health.detail


async def test_other_keys_are_out_of_reach(store: StoreProcess, as_user: Store) -> None:
    _allow(store, PERMISSIONS)
    store.command("ACL", "SETUSER", "ott", "resetkeys", "~other:*")
    async with listed(as_user) as used_list:
        with pytest.raises(UsedListError) as caught:
            await used_list.mark_used(a_use(), timeout=TIMEOUT)
    assert caught.value.fault is UsedListFault.REPLY


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("store root")


@pytest.fixture
def ca(authority: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.pem)
    return path


def _served(authority: Authority, folder: Path, *ips: str) -> ssl.SSLContext:
    certificate, key = authority.leaf(ips=ips).write(folder, "store")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_the_right_authority_and_name_open(
    store: StoreProcess, authority: Authority, ca: Path, tmp_path: Path
) -> None:
    tls = _served(authority, tmp_path, "127.0.0.1")
    async with DropProxy(store.port, tls=tls) as proxy, listed(settings_for(proxy.url, ca=ca)) as used_list:
        uses = [a_use() for _ in range(100)]
        assert await asyncio.gather(*(used_list.mark_used(use, timeout=TIMEOUT) for use in uses)) == [FIRST] * 100
        proxy.drop_replies = 1
        use = a_use()
        assert await used_list.mark_used(use, timeout=TIMEOUT) is FIRST
        assert await used_list.mark_used(replay_of(use), timeout=TIMEOUT) is USED


async def test_another_authority_does_not(store: StoreProcess, ca: Path, tmp_path: Path) -> None:
    async with DropProxy(store.port, tls=_served(Authority("forger"), tmp_path, "127.0.0.1")) as proxy:
        assert "store.ca" in await refusal(settings_for(proxy.url, ca=ca))


async def test_the_systems_authorities_do_not_know_ours(
    store: StoreProcess, authority: Authority, tmp_path: Path
) -> None:
    async with DropProxy(store.port, tls=_served(authority, tmp_path, "127.0.0.1")) as proxy:
        assert "store.ca" in await refusal(settings_for(proxy.url))


async def test_another_hosts_certificate_does_not(
    store: StoreProcess, authority: Authority, ca: Path, tmp_path: Path
) -> None:
    async with DropProxy(store.port, tls=_served(authority, tmp_path, "127.0.0.2")) as proxy:
        detail = await refusal(settings_for(proxy.url, ca=ca))
    assert "127.0.0.1" in detail
    assert "store.url" in detail


async def test_a_client_certificate_is_shown_where_one_is_wanted(
    store: StoreProcess, authority: Authority, ca: Path, tmp_path: Path
) -> None:
    context = _served(authority, tmp_path, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca)
    certificate, key = authority.leaf("ott").write(tmp_path, "client")
    async with DropProxy(store.port, tls=context) as proxy:
        assert await spend(settings_for(proxy.url, ca=ca, certificate=certificate, key=key)) is FIRST
        await refusal(settings_for(proxy.url, ca=ca))


async def test_a_file_that_is_not_there_is_named(store: StoreProcess, tmp_path: Path) -> None:
    settings = settings_for(store.url.replace("redis:", "rediss:"), ca=tmp_path / "absent.pem")
    assert "store.ca" in await refusal(settings)


async def test_tls_to_a_plain_port_is_not_mistaken_for_a_slow_store(ca: Path) -> None:
    """A plain store says nothing to a TLS greeting: it waits for the end of the line."""

    async def wait_for_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(wait_for_more, "127.0.0.1", 0) as server:
        url = f"rediss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        used_list = RedisUsedList(settings=settings_for(url, ca=ca), bounds=BOUNDS, clock=SkewedClock())
        assert "over TLS" in (await used_list.health()).detail
        await used_list.close()


async def test_a_redis_that_speaks_tls_itself(authority: Authority, ca: Path, tmp_path: Path) -> None:
    if REDIS.program is None:
        pytest.skip(REDIS.why_not)
    certificate, key = authority.leaf(ips=("127.0.0.1",)).write(tmp_path, "redis")
    client = authority.leaf("ott").write(tmp_path, "client")
    with running(
        REDIS,
        tmp_path / "data",
        tls=True,
        tls_cert_file=str(certificate),
        tls_key_file=str(key),
        tls_ca_cert_file=str(ca),
    ) as store:
        url = f"rediss://127.0.0.1:{store.tls_port}"
        assert await spend(settings_for(url, ca=ca, certificate=client[0], key=client[1])) is FIRST
        await refusal(settings_for(url, ca=ca))
