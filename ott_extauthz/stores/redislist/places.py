"""Where are the servers that ``store.url`` names?"""

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote, urlsplit

from ott_extauthz.settings import redis_nodes

DEFAULT_PORT: Final = 6379


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is, and how to enter."""

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


def places_from(url: str) -> list[Place]:
    """Return the place of every server in a URL of several; the settings have judged its form."""
    parts = urlsplit(url)
    segments = parts.path.split("/")[1:]
    database = (segments[1:] if parts.scheme.endswith("+sentinel") else segments or [""])[-1:] or [""]
    some = Place(
        host="",
        port=0,
        database=int(database[0] or 0),
        username=unquote(parts.username) if parts.username else None,
        is_tls=parts.scheme.startswith("rediss"),
    )
    return [replace(some, host=host, port=port) for host, port in redis_nodes(url)]


def sentinel_name(url: str) -> str:
    """Return the name of the primary that the sentinels are asked for."""
    return unquote(urlsplit(url).path.split("/")[1])
