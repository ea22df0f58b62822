"""Where are the servers that ``store.url`` names?"""

from dataclasses import dataclass

from ott_extauthz.store_url import store_url


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
    """Return the first server's place.

    Raises:
        ValueError: ``url`` is no Redis store's.
    """
    return places_from(url)[0]


def places_from(url: str) -> list[Place]:
    """Return the place of every server, in the order of the URL; ValueError as above."""
    parts = store_url(url)
    return [
        Place(host=host, port=port, database=parts.database, username=parts.user, is_tls=parts.is_tls)
        for host, port in parts.servers
    ]


def sentinel_name(url: str) -> str:
    """Return the name of the primary that the sentinels are asked for."""
    return store_url(url).name
