"""What do a database's errors mean, for the token and for the operator?  One line, which names the setting to mend."""

import os
import socket
import ssl
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError

from ott_extauthz.ports import UsedListFault

LONGEST_DETAIL: Final = 160


class ConnectError(Exception):
    """There is no connection, and why; says nothing secret."""


class ReplacedError(Exception):
    """What lies there is not what was opened."""


READ_ONLY: Final = "25006"

_ADVICE: Final = {
    READ_ONLY: "it takes no writes; store.url must name the primary",
    "42501": "the user of store.url lacks a permission on ott_used, ott_counters or ott_fence, or may not create them",
    "53100": "its disk is full",
    "53300": "it has too many connections; raise its max_connections",
    "55P03": "a lock was not to be had in time",
    "57014": "it was too slow",
    "57P03": "it is starting up or shutting down",
}
_TOO_LATE: Final = frozenset({"55P03", "57014", "25P03"})
_ENDED: Final = ("08", "57P", "25P03", "42P01")
"""The connection ended, or its tables were taken away: a fresh one, which makes them anew, may do better."""
_BUSY: Final = frozenset({"SQLITE_BUSY", "SQLITE_BUSY_RECOVERY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_BUSY_TIMEOUT"})


def code_of(error: DBAPIError) -> str:
    """Return what a program may rely on: PostgreSQL's SQLSTATE, SQLite's error name; empty if there is none."""
    original = error.orig
    cause = getattr(original, "__cause__", None)
    for found in (original, cause):
        code = getattr(found, "sqlstate", None) or getattr(found, "sqlite_errorname", None)
        if isinstance(code, str):
            return code
    return ""


def fault_of(error: DBAPIError) -> UsedListFault:
    """Return the kind of fault."""
    code = code_of(error)
    if code in _BUSY or code in _TOO_LATE:
        return UsedListFault.TIMEOUT
    if not code or code.startswith(_ENDED) or error.connection_invalidated:
        return UsedListFault.LOST
    return UsedListFault.REPLY


def advice(error: DBAPIError) -> str:
    """Say in one line what the database complains of, and what to mend; never what we sent."""
    code = code_of(error)
    if code in _BUSY:
        return "another process held the file for too long (SQLITE_BUSY)"
    if code in _ADVICE:
        return f"{_ADVICE[code]} ({code})"
    text = type(error.orig).__name__ if not code else f"{code}: {error.orig}"
    return text.replace("\n", " ").rpartition(">: ")[2][:LONGEST_DETAIL]


def sqlite_reason(error: Exception) -> str:
    """Say why a file could not be opened."""
    match error:
        case DBAPIError():
            return f"{advice(error)}; mend store.url, or what lies there"
        case TimeoutError():
            return "the file could not be opened in time"
        case OSError():
            return f"the file or its witness beside it cannot be written ({error.strerror}); mend store.url"
        case _:
            return str(error)


def postgres_reason(error: Exception, *, is_tls: bool, limit: float) -> str:  # noqa: C901, PLR0911 - one line per cause
    """Say why there is no connection."""
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return "the user or the password is refused; mend store.password_file, or the user in store.url"
        case asyncpg.InvalidCatalogNameError():
            return "there is no such database; mend store.url"
        case asyncpg.PostgresError():
            code = error.sqlstate or ""
            return f"{_ADVICE[code]} ({code})" if code in _ADVICE else f"the connection is refused ({code})"
        case ssl.SSLCertVerificationError():
            return f"its certificate is refused ({error.verify_message}); mend store.ca, or the host in store.url"
        case ssl.SSLError():
            return f"TLS failed ({error.reason}); mend store.ca, store.certificate or store.key"
        case TimeoutError():
            return f"no connection{' over TLS' if is_tls else ''} within {limit:.3g} s"
        case FileNotFoundError() | PermissionError():
            return f"a file of store.ca, store.certificate or store.key cannot be read ({error.strerror})"
        case socket.gaierror():
            return f"its host is unknown ({error.strerror}); mend store.url"
        case OSError():
            return os.strerror(error.errno) if error.errno else str(error)[:LONGEST_DETAIL]
        case DBAPIError():
            return advice(error)
        case _:
            return f"the connection is refused ({type(error).__name__})"
