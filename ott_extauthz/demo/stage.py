"""What stands on the demo's stage?  Issuer, Check server, Envoy and upstream, all real, on free loopback ports.

Order: certificates and keys, then issuer and Check server side by side, then Envoy, which is ready once it has seen the
Check server healthy.  Everything lives in one temporary folder and ends with the block that opened it.
"""

import asyncio
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from ott_extauthz.demo.calling import Reply, request_bytes, send
from ott_extauthz.demo.files import caller, quoted, write_certificates, write_configurations
from ott_extauthz.demo.ports import free_ports
from ott_extauthz.demo.programs import Program, ProgramError, find_envoy, run
from ott_extauthz.demo.upstream import echoing_upstream

CLIENT_ID: Final = "rgs"
_SELF: Final = (sys.executable, "-m", "ott_extauthz")
_CONFIG: Final = ("-c", "ott.yaml")
_EXPIRED_AFTER: Final = 1.0 + 2.0 + 0.1
"""Seconds: the lifetime, ``clock.exp_leeway``, and a little."""
_FORM: Final = (("host", "issuer.demo"), ("content-type", "application/x-www-form-urlencoded"), ("connection", "close"))


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everybody listens."""

    check: int
    admin: int
    issuer: int
    upstream: int
    gateway: int = 0


@dataclass(frozen=True, slots=True)
class ShortLived:
    """A token minted to be presented too late, and from when on it is (on the event loop's clock)."""

    token: str
    expired_at: float


@dataclass(frozen=True, slots=True)
class Stage:
    """The running demo: its folder, its ports, and the two callers' certificates."""

    folder: Path
    ports: Ports
    owner: ssl.SSLContext
    thief: ssl.SSLContext
    short_lived: ShortLived

    async def call(self, request: bytes, *, as_thief: bool = False) -> Reply:
        """Send one request to Envoy with the owner's certificate, or with the thief's."""
        return await asyncio.to_thread(send, self.ports.gateway, self.thief if as_thief else self.owner, request)

    async def token(self, audience: str, scope: str) -> str:
        """Get a one-time token from the issuer."""
        return await issued_token(self.ports.issuer, self.owner, audience, scope)


async def issued_token(issuer: int, owner: ssl.SSLContext, audience: str, scope: str) -> str:
    """Get a one-time token: OAuth 2.0 client_credentials over mTLS (RFC 6749 §4.4, 8705, 8707).

    Raises:
        ProgramError: the issuer, which listens on port ``issuer``, refused.
    """
    form = f"grant_type=client_credentials&client_id={CLIENT_ID}&resource={audience}&scope={scope}"
    request = request_bytes("POST", "/token", _FORM, form.encode())
    reply = await asyncio.to_thread(send, issuer, owner, request)
    if reply.status != 200:  # noqa: PLR2004 - OK
        raise ProgramError(f"the issuer refused a token: {reply.status} {reply.body.decode(errors='replace')}")
    return str(reply.json["access_token"])


@asynccontextmanager
async def stage(*, store: str) -> AsyncIterator[Stage]:
    """Build the stage, wait until all of it is up, and clear it away at the end.

    Raises:
        ProgramError: Envoy is missing, or a program did not come up.
    """
    envoy = find_envoy()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ott-demo-")))
        upstream = await stack.enter_async_context(echoing_upstream())
        check, admin, issuer = free_ports(3)
        ports = Ports(check, admin, issuer, upstream)
        write_certificates(folder / "tls")
        write_configurations(folder, _placeholders(folder, ports, store))
        await run("keys init", [*_SELF, "keys", "init", *_CONFIG], folder=folder)
        short_lived = asyncio.create_task(_short_lived_token(folder))
        stack.push_async_callback(_cancelled, short_lived)
        await asyncio.gather(start_issuer(stack, folder, ports.issuer), start_check_server(stack, folder, ports.admin))
        gateway = (await listeners(await start_envoy(stack, folder, envoy)))["gateway"]
        yield Stage(
            folder,
            replace(ports, gateway=gateway),
            caller(folder, "rgs"),
            caller(folder, "thief"),
            await short_lived,
        )


def _placeholders(folder: Path, ports: Ports, store: str) -> dict[str, object]:
    return {
        "CHECK_PORT": ports.check,
        "ADMIN_PORT": ports.admin,
        "ISSUER_PORT": ports.issuer,
        "UPSTREAM_PORT": ports.upstream,
        "STORE": quoted(store),
        "TLS": folder / "tls",
        "ACCESS_LOG": folder / "access.log",
    }


async def _short_lived_token(folder: Path) -> ShortLived:
    # Minted at the keys themselves: the issuer's clients get no less than a second, and nobody waits half a minute.
    wanted = ["--audience", "wallet.api", "--certificate", "tls/rgs.pem", "--client-id", CLIENT_ID]
    printed = await run(
        "mint",
        [*_SELF, "mint", *_CONFIG, *wanted, "--scope", "wallet:debit", "--lifetime", "1s"],
        folder=folder,
    )
    return ShortLived(printed.strip(), asyncio.get_running_loop().time() + _EXPIRED_AFTER)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def start_issuer(stack: AsyncExitStack, folder: Path, port: int) -> None:
    """Start the issuer of the folder's ``ott.yaml``, for as long as ``stack`` is open."""
    program = await Program.start("issuer", [*_SELF, "issue", *_CONFIG], folder=folder)
    stack.push_async_callback(program.stop)
    owner = caller(folder, "rgs")
    await program.ready(lambda: answers(f"https://127.0.0.1:{port}/jwks", owner))


async def start_check_server(
    stack: AsyncExitStack, folder: Path, admin: int, *, name: str = "check-server", config: str = "ott.yaml"
) -> Program:
    """Start a Check server, for as long as ``stack`` is open; returns it once it is ready."""
    program = await Program.start(name, [*_SELF, "serve", "-c", config], folder=folder)
    stack.push_async_callback(program.stop)
    await program.ready(lambda: answers(f"http://127.0.0.1:{admin}/readyz"))
    return program


async def start_envoy(stack: AsyncExitStack, folder: Path, envoy: Path) -> str:
    """Start the folder's ``envoy.yaml``, for as long as ``stack`` is open; returns its admin address."""
    admin = folder / "envoy-admin.txt"
    options: list[str | Path] = ["-c", "envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1"]
    options += ["--log-level", "warning", "--admin-address-path", admin]
    program = await Program.start("envoy", [envoy, *options], folder=folder)
    stack.push_async_callback(program.stop)
    await program.ready(lambda: _admin_answers(admin))
    return _text(admin)


async def listeners(admin: str) -> dict[str, int]:
    """Return the port of each of Envoy's listeners, by its name."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{admin}/listeners?format=json") as response:
        found = await response.json(content_type=None)
    return {
        status["name"]: int(status["local_address"]["socket_address"]["port_value"])
        for status in found["listener_statuses"]
    }


async def store_told(admin: int) -> str:
    """Return what the Check server says of its store."""
    url = f"http://127.0.0.1:{admin}/readyz?verbose"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        lines = (await response.text()).splitlines()
    return next((line for line in lines if line.startswith("store: ")), "")


async def _admin_answers(address: Path) -> bool:
    """Whether Envoy serves: /ready says 200 only when every cluster has been looked at and the listeners are open."""
    written = _text(address)
    return bool(written) and await answers(f"http://{written}/ready")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


async def answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether somebody answers there, and not with an error."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context or True) as response:
            return response.ok
    except aiohttp.ClientError:
        return False
