"""The least rights that the manual grants: in every deployment they suffice, and whichever is missing is told."""

import re
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from ott_extauthz.sections.store import Store
from tests.architecture.documents import STORES
from tests.deployed_lists import fresh, outcome_of
from tests.deployments import Independent, Sharded, Watched, independent, replicated, sharded, watched
from tests.processes import VALKEY, Engine, StoreProcess, running
from tests.used_lists import FIRST, USED, listed, replay_of, settings_for

PASSWORD = secrets.token_hex(16)
BASE = ["+evalsha", "+script|load", "+time", "+info", "+get", "+set"]

Deployed = AbstractContextManager[Any]
Build = Callable[[Engine, Path], Deployed]


def _servers(deployment: StoreProcess | Watched | Sharded | Independent) -> list[StoreProcess]:
    return [deployment] if isinstance(deployment, StoreProcess) else deployment.servers


def _grant(deployment: StoreProcess | Watched | Sharded | Independent, rights: list[str]) -> None:
    for server in _servers(deployment):
        server.command("ACL", "SETUSER", "ott", "reset", "on", f">{PASSWORD}", "~ott:*", *rights)


def _settings(url: str, folder: Path, **more: Any) -> Store:
    (folder / "password").write_text(PASSWORD)
    return settings_for(url.replace("://", "://ott@"), password_file=folder / "password", **more)


KINDS: dict[str, tuple[Build, list[str], dict[str, Any]]] = {
    "single": (running, BASE, {}),
    "quorum": (independent, BASE, {}),
    "sentinel": (lambda engine, folder: watched(engine, folder, replicas=1), BASE, {}),
    "cluster": (sharded, [*BASE, "+cluster|nodes"], {}),
    "wait": (lambda engine, folder: replicated(engine, folder, replicas=1), [*BASE, "+wait"], {"wait": 1}),
}


@pytest.mark.parametrize("name", KINDS)
async def test_the_documented_rights_suffice_and_each_missing_one_is_told(name: str, tmp_path: Path) -> None:
    build, rights, more = KINDS[name]
    with build(VALKEY, tmp_path / "servers") as deployment:
        for sentinel in getattr(deployment, "sentinels", ()):
            least = ["resetpass", "-@all", "+sentinel|master"]
            sentinel.command("ACL", "SETUSER", "operator", "on", "nopass", "~*", "&*", "+@all")
            sentinel.command("ACL", "SETUSER", "default", *least, f">{PASSWORD}")
        (tmp_path / "sentinels").write_text(PASSWORD)
        more = more | ({"sentinel_password_file": tmp_path / "sentinels"} if name == "sentinel" else {})
        url = deployment.primary.url if name == "wait" else deployment.url
        settings = _settings(url, tmp_path, **more)
        _grant(deployment, rights)
        async with listed(settings) as used_list:
            use = fresh()
            assert await outcome_of(used_list, use) is FIRST, (await used_list.health()).detail
            assert await outcome_of(used_list, replay_of(use)) is USED
            health = await used_list.health()
            assert health.ready, health.detail
            assert "may not ask for more (CONFIG GET)" in health.detail
        for missing in rights:
            _grant(deployment, [right for right in rights if right != missing])
            async with listed(settings) as used_list:
                health = await used_list.health()
            assert not health.ready
            assert re.search(rf"lacks a permission.*{re.escape(missing.strip('+'))}", health.detail), health.detail


async def test_another_database_needs_select(tmp_path: Path) -> None:
    with running(VALKEY, tmp_path / "server") as store:
        settings = _settings(f"{store.url}/5", tmp_path)
        _grant(store, [*BASE, "+select"])
        async with listed(settings) as used_list:
            assert (await used_list.health()).ready
        _grant(store, BASE)
        async with listed(settings) as used_list:
            assert "mend store.url, its user and database included" in (await used_list.health()).detail


def test_the_manual_grants_these() -> None:
    text = STORES.read_text().replace("\\|", "|")
    assert f"`{' '.join(BASE)}`" in text
    assert all(f"`{right}`" in text for right in ("+cluster|nodes", "+wait", "+select", "+sentinel|master"))
