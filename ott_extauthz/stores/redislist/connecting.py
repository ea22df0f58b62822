"""How is a connection to the store made?  By redis-py: TCP or TLS, user and password, database; then the script.

- The password, the CA and the client certificate are read anew at every connection, so that they can be rotated.
- redis-py retries nothing here: its defaults (10 retries, 5 s each) would outlive Envoy's deadline a hundredfold, and
  a resend is the lane's to decide.
- RESP2: no HELLO, no push messages among the replies, and fewer permissions for the service's user.
- What goes wrong is told in one line that names the setting to mend.  Until the user is known, only the code of a
  server's error is repeated: a server without AUTH quotes the password in its complaint.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from redis import exceptions
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ott_extauthz.sections.store import Store
from ott_extauthz.stores.password_files import PasswordFileError, password_from
from ott_extauthz.stores.redislist.places import Place, place_from
from ott_extauthz.stores.redislist.script import SCRIPT
from ott_extauthz.stores.tls import store_context

MINIMUM_LIMIT_SECONDS: Final = 1.0
"""A connection may take this long even if a spend may not: TLS over a far link needs several round trips, and calls
that cannot wait are refused meanwhile.  Short enough that the next attempt sends a lost SYN anew."""

LONGEST_DETAIL: Final = 200


class ConnectError(Exception):
    """There is no connection, and why; says nothing secret."""


class Connector:
    """Opens connections to one place.  A sentinel has a password of its own, and takes no script."""

    def __init__(self, settings: Store, place: Place | None = None, *, is_sentinel: bool = False) -> None:
        self.place = place or place_from(settings.url)
        self._settings = settings
        self._is_sentinel = is_sentinel
        self.limit = max(MINIMUM_LIMIT_SECONDS, settings.timeout / 1000)
        self.trouble: str | None = None  # why the last attempt failed

    async def open(self) -> Connection:
        """Return a connection that is ready for the script.

        Raises:
            ConnectError: there is none; the text names the setting to mend, where there is one.
        """
        try:
            async with AsyncExitStack() as undo, asyncio.timeout(self.limit):
                connection = await self._unopened()
                undo.push_async_callback(connection.disconnect, nowait=True)
                await connection.connect()  # type: ignore[no-untyped-call]
                await (_greet(connection) if self._is_sentinel else _load_script(connection))
                undo.pop_all()
        except (exceptions.RedisError, OSError, ConnectError, PasswordFileError) as error:
            is_told = isinstance(error, ConnectError | PasswordFileError)
            told = str(error) if is_told else _reason(error, self.place, self.limit)
            self.trouble = told.replace("store.password_file", self._password_setting)
            raise ConnectError(self.trouble) from None
        self.trouble = None
        return connection

    @property
    def _password_setting(self) -> str:
        return "store.sentinel_password_file" if self._is_sentinel else "store.password_file"

    async def _unopened(self) -> Connection:
        kind = await self._over_tls() if self.place.is_tls else Connection
        return kind(
            host=self.place.host,
            port=self.place.port,
            db=self.place.database,
            username=self.place.username,
            password=password_from(
                self._settings.sentinel_password_file if self._is_sentinel else self._settings.password_file,
                self._password_setting,
            ),
            protocol=2,
            driver_info=None,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            socket_timeout=self.limit,
            socket_connect_timeout=self.limit,
        )

    async def _over_tls(self) -> Callable[..., Connection]:
        # Not redis-py's own, which would trust the system's authorities besides ``store.ca``.
        context = await asyncio.to_thread(store_context, self._settings)

        def made(**options: Any) -> SSLConnection:  # noqa: ANN401 - redis-py's own
            connection = SSLConnection(ssl_check_hostname=True, **options)
            connection.ssl_context.context = context
            return connection

        return made


async def _greet(connection: Connection) -> None:
    """Wait for any reply: only then is it known that TLS took our certificate, or that none was wanted."""
    with contextlib.suppress(exceptions.ResponseError):
        await connection.send_command("PING")
        await connection.read_response()


async def _load_script(connection: Connection) -> None:
    try:
        await connection.send_command("SCRIPT", "LOAD", SCRIPT)
        await connection.read_response()
    except exceptions.ResponseError as error:  # by now the user is known, and no secret was in what we sent
        told = f"{error.status_code or 'ERR'} {error}"
        if isinstance(error, exceptions.NoPermissionError):
            told = f"the user of store.url lacks a permission that docs/stores.md lists: +script|load ({told})"
        raise ConnectError(f"the script is refused: {told}"[:LONGEST_DETAIL]) from None


def _reason(error: Exception, place: Place, limit: float) -> str:
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
            over = " over TLS" if place.is_tls else ""
            return f"no connection{over} within {limit:.3g} s; mend store.url, its scheme included"
        case socket.gaierror():
            return f"its host is unknown ({cause.strerror}); mend store.url"
        case None | ConnectionResetError() | BrokenPipeError() if isinstance(
            error, ConnectionError | exceptions.ConnectionError
        ):
            return _closed(is_tls=place.is_tls)
        case OSError():  # asyncio puts its own words, with the address, where the system's belong
            return f"{os.strerror(cause.errno) if cause.errno else cause}; mend store.url, or start what it names"
        case _:
            code = getattr(error, "status_code", None) or type(error).__name__
            return f"the connection is refused ({code}); mend store.url, its user and database included"


def _closed(*, is_tls: bool) -> str:
    if is_tls:
        return "the server closed the connection; it may want store.certificate, or redis:// in store.url"
    return "the server closed the connection; one that wants TLS is written rediss:// in store.url"
