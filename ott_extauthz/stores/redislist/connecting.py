"""How is a connection to the store made?  By redis-py: TCP or TLS, user and password, database; then the script.

- The password, the CA and the client certificate are read anew at every connection, so that they can be rotated.
- redis-py retries nothing here: its defaults (10 retries, 5 s each) would outlive Envoy's deadline a hundredfold, and
  a resend is the lane's to decide.
- RESP2: no HELLO, no push messages among the replies, and fewer permissions for the service's user.
- What goes wrong is told in one line that names the setting to mend.  Until the user is known, only the code of a
  server's error is repeated: a server without AUTH quotes the password in its complaint.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from redis import exceptions
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ott_extauthz.settings import Store
from ott_extauthz.stores.redislist.script import SCRIPT

DEFAULT_PORT: Final = 6379
MINIMUM_LIMIT_SECONDS: Final = 1.0
"""A connection may take this long even if a spend may not: TLS over a far link needs several round trips, and calls
that cannot wait are refused meanwhile.  Short enough that the next attempt sends a lost SYN anew."""

LONGEST_DETAIL: Final = 200


class ConnectError(Exception):
    """There is no connection, and why; says nothing secret."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the store is, as ``store.url`` says."""

    host: str
    port: int
    database: int
    username: str | None
    is_tls: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def place_from(url: str) -> Place:
    """Take ``redis[s]://[user@]host[:port][/db]`` apart.

    Raises:
        ValueError: the URL says something that would be ignored, or no number where one belongs.
    """
    parts = urlsplit(url)
    database = parts.path.strip("/") or "0"
    if not parts.hostname or not database.isdecimal() or parts.query or parts.fragment:
        raise ValueError("store.url is written redis://[user@]host[:port][/db]; db is a number, nothing follows it")
    return Place(
        host=parts.hostname,
        port=parts.port or DEFAULT_PORT,
        database=int(database),
        username=unquote(parts.username) if parts.username else None,
        is_tls=parts.scheme == "rediss",
    )


class Connector:
    """Opens connections to one place."""

    def __init__(self, settings: Store) -> None:
        self.place = place_from(settings.url)
        self._settings = settings
        self.limit = max(MINIMUM_LIMIT_SECONDS, settings.timeout / 1000)

    async def open(self) -> Connection:
        """Return a connection that is ready for the script.

        Raises:
            ConnectError: there is none; the text names the setting to mend, where there is one.
        """
        try:
            async with AsyncExitStack() as undo, asyncio.timeout(self.limit):
                connection = self._unopened()
                undo.push_async_callback(connection.disconnect, nowait=True)
                await connection.connect()  # type: ignore[no-untyped-call]
                await _load_script(connection)
                undo.pop_all()
        except (exceptions.RedisError, OSError) as error:
            over = " over TLS" if self.place.is_tls else ""
            raise ConnectError(_reason(error, f"no connection{over} within {self.limit:.3g} s")) from None
        return connection

    def _unopened(self) -> Connection:
        kind = self._over_tls() if self.place.is_tls else Connection
        return kind(
            host=self.place.host,
            port=self.place.port,
            db=self.place.database,
            username=self.place.username,
            password=_password(self._settings.password_file),
            protocol=2,
            driver_info=None,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            socket_timeout=self.limit,
            socket_connect_timeout=self.limit,
        )

    def _over_tls(self) -> Callable[..., Connection]:
        def path(file: Path | None) -> str | None:
            return None if file is None else str(file)

        return partial(
            SSLConnection,
            ssl_ca_certs=path(self._settings.ca),
            ssl_certfile=path(self._settings.certificate),
            ssl_keyfile=path(self._settings.key),
            ssl_cert_reqs="required",
            ssl_check_hostname=True,
            ssl_min_version=ssl.TLSVersion.TLSv1_2,
        )


async def _load_script(connection: Connection) -> None:
    try:
        await connection.send_command("SCRIPT", "LOAD", SCRIPT)
        await connection.read_response()
    except exceptions.ResponseError as error:  # by now the user is known, and no secret was in what we sent
        raise ConnectError(f"the script is refused ({error.status_code or 'ERR'} {error})"[:LONGEST_DETAIL]) from None


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConnectError(f"store.password_file cannot be read ({why})") from None
    if not password:
        raise ConnectError("store.password_file is empty")
    return password


def _reason(error: Exception, too_late: str) -> str:
    """Say what went wrong.  redis-py wraps the errors of the system and of TLS; what it wrapped says more."""
    cause = error.__context__ if type(error) is exceptions.ConnectionError else error
    match cause:
        case ssl.SSLCertVerificationError():
            return f"its certificate is refused ({cause.verify_message}); mend store.ca, or the host in store.url"
        case ssl.SSLError():
            return (
                f"TLS failed ({cause.reason}); mend the scheme of store.url, store.ca, store.certificate or store.key"
            )
        case FileNotFoundError() | PermissionError():
            return f"a file of store.ca, store.certificate or store.key cannot be read ({cause.strerror})"
        case exceptions.AuthenticationError():
            return "the user or the password is refused; mend store.password_file, or the user in store.url"
        case exceptions.TimeoutError() | TimeoutError():
            return too_late
        case socket.gaierror():
            return f"its host is unknown ({cause.strerror}); mend store.url"
        case OSError():  # asyncio puts its own words, with the address, where the system's belong
            return os.strerror(cause.errno) if cause.errno else str(cause)
        case _:
            return f"the connection is refused ({getattr(error, 'status_code', None) or type(error).__name__})"
