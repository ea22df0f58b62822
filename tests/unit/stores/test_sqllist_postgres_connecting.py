"""What goes wrong on the way to PostgreSQL is named: password, database, permission, TLS, a server that is down."""

import asyncio
import shutil
from pathlib import Path

import pytest

from ott_extauthz.model.rejection import TokenState
from ott_extauthz.ports import UsedListError, UsedListFault
from ott_extauthz.stores.sqllist.list import SqlUsedList
from tests.fakes.certificates import Authority
from tests.fakes.clock import SkewedClock
from tests.postgres import USER, WHY_NOT, PostgresProcess, give, home
from tests.sql_lists import SqlStore, of_server, sql_listed
from tests.used_lists import BOUNDS, FIRST, a_use, settings_for

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it is there")

TIMEOUT = 4.0


async def test_a_wrong_password_and_a_missing_database_are_named(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("right horse\n")
    with home() as folder:
        server = PostgresProcess(folder)
        pwfile = folder / "pw"
        pwfile.write_text("right horse")
        shutil.chown(pwfile, USER)
        server.initialise("-A", "scram-sha-256", f"--pwfile={pwfile}")
        server.password = "right horse"
        server.start()
        try:
            async with sql_listed(settings_for(server.url, password_file=secret)) as used_list:
                assert (await used_list.health()).ready
            async with sql_listed(
                settings_for(server.url.removesuffix("postgres") + "nowhere", password_file=secret)
            ) as used_list:
                health = await used_list.health()
                assert not health.ready
                assert "no such database" in health.detail
            for wrong in ("wrong horse", None):
                secret.write_text(wrong or "")
                settings = settings_for(server.url, password_file=secret) if wrong else settings_for(server.url)
                async with sql_listed(settings) as used_list:
                    health = await used_list.health()
                    assert not health.ready
                    assert "store.password_file" in health.detail
                    assert "horse" not in health.detail
                    with pytest.raises(UsedListError) as caught:
                        await used_list.mark_used(a_use(), timeout=TIMEOUT)
                    assert (caught.value.fault, caught.value.token_state) == (
                        UsedListFault.CONNECT,
                        TokenState.UNSPENT,
                    )
        finally:
            server.kill()


async def test_a_user_without_permission_is_named(shared: SqlStore) -> None:
    assert shared.server is not None
    async with sql_listed(shared):
        pass
    shared.sql("CREATE ROLE nobody LOGIN")
    async with sql_listed(settings_for(f"postgresql://nobody@127.0.0.1:{shared.server.port}/postgres")) as poor:
        health = await poor.health()
        assert not health.ready
        assert "permission" in health.detail
        with pytest.raises(UsedListError) as caught:
            await poor.mark_used(a_use(), timeout=TIMEOUT)
        assert caught.value.token_state is TokenState.UNSPENT
    shared.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ott_used, ott_counters, ott_fence TO nobody")
    async with sql_listed(settings_for(f"postgresql://nobody@127.0.0.1:{shared.server.port}/postgres")) as granted:
        assert (await granted.health()).ready
        assert await granted.mark_used(shared.use_after_fence(), timeout=TIMEOUT) is FIRST


async def test_a_server_that_is_down_is_named_and_found_when_it_comes_up(own_server: PostgresProcess) -> None:
    own_server.stop()
    store = of_server(own_server)
    async with sql_listed(store) as used_list:
        health = await used_list.health()
        assert not health.ready
        assert "refused" in health.detail
        with pytest.raises(UsedListError) as caught:
            await used_list.mark_used(a_use(), timeout=TIMEOUT)
        assert (caught.value.fault, caught.value.token_state) == (UsedListFault.CONNECT, TokenState.UNSPENT)
        await asyncio.to_thread(own_server.start)
        async with asyncio.timeout(60):  # on a busy machine one look may take too long
            while not (await used_list.health()).ready:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.05)
        assert await used_list.mark_used(store.use_after_fence(), timeout=TIMEOUT) is FIRST


async def test_tls_takes_the_authoritys_certificate_for_this_host_and_no_other(tmp_path: Path) -> None:
    authority = Authority("store CA")
    ca, forged = tmp_path / "ca.pem", tmp_path / "forged.pem"
    ca.write_bytes(authority.pem)
    forged.write_bytes(Authority("forger").pem)
    with home() as folder:
        certificate, key = authority.leaf(ips=("127.0.0.1",)).write(folder, "server")
        key.chmod(0o600)
        give(folder)
        server = PostgresProcess(folder, ssl="on", ssl_cert_file=str(certificate), ssl_key_file=str(key))
        try:
            server.initialise().start()
            async with sql_listed(settings_for(server.url, ca=ca)) as used_list:
                assert (await used_list.health()).ready
            for settings in (
                settings_for(server.url, ca=forged),
                settings_for(server.url.replace("127.0.0.1", "localhost"), ca=ca),
            ):
                async with sql_listed(settings) as used_list:
                    health = await used_list.health()
                    assert not health.ready
                    assert "store.ca" in health.detail
        finally:
            server.kill()


async def test_a_server_without_tls_is_not_spoken_to_in_the_clear(shared: SqlStore, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(Authority("store CA").pem)
    async with sql_listed(settings_for(shared.url, ca=ca)) as used_list:
        assert not (await used_list.health()).ready


@pytest.mark.parametrize(
    "url",
    ["postgresql:///db", "postgresql://host", "postgresql://host/", "postgresql://host/a/b", "postgresql://h/d?x=1"],
)
def test_a_url_that_says_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        SqlUsedList(settings=settings_for(url), bounds=BOUNDS, clock=SkewedClock())
