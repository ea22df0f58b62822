"""What does ``store.url`` say?  Taken apart once and strictly; a mistake is told without a word of what stands there.

Python's ``urlsplit`` will not do: it quotes a bad port, which is a password where an ``@`` or ``/`` stands in one, and
its later versions refuse several IPv6 addresses beside each other.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import unquote

SCHEMES: Final = (
    "memory", "sqlite", "postgresql", "redis", "rediss", "redis+sentinel", "redis+cluster", "redis+quorum",
    "rediss+sentinel", "rediss+cluster", "rediss+quorum",
)  # fmt: skip
_PARTS: Final = re.compile(r"(?P<scheme>[^:]*)://((?P<user>[^@/?#]*)@)?(?P<servers>[^@/?#]*)(?P<path>/[^?#]*)?")
_NAMED: Final = re.compile(r"(?P<name>[^\s\[\]:@]+)(:(?P<port>\d{1,5}))?")
_BRACKETED: Final = re.compile(r"\[(?P<name>[0-9A-Fa-f:.]+)\](:(?P<port>\d{1,5}))?")
_MOST_PORTS: Final = 65535
_PORTS: Final = {"sentinel": 26379, "postgresql": 5432}
_REDIS_PORT: Final = 6379
_PATHS: Final = {
    "memory": (r"/?", "memory://"),
    "sqlite": (r"/+(?P<name>[^/].*[^/]|[^/])", "sqlite:///absolute/path/of/a/file; nothing follows it"),
    "postgresql": (r"/(?P<name>[^/@]+)", "postgresql://[user@]host[:port]/database; nothing follows it"),
    "": (r"(/(?P<database>\d*))?", "redis://[user@]host[:port][/db]; db is a number, nothing follows it"),
    "sentinel": (
        r"/(?P<name>[^/@]+)(/(?P<database>\d+))?",
        "redis+sentinel://[user@]host[:port],…/name[/db], the name as the sentinels know it",
    ),
    "cluster": (r"/?", "redis+cluster://[user@]host[:port],…; a cluster has no databases"),
    "quorum": (r"(/(?P<database>\d*))?", "redis+quorum://[user@]host[:port],…[/db]"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """A store URL's parts.  ``kind`` is what follows a ``+``; ``name`` the database, the sentinels' name, or a path."""

    scheme: str
    kind: str
    user: str | None
    servers: tuple[tuple[str, int], ...]
    name: str
    database: int

    @property
    def is_tls(self) -> bool:
        """Whether the scheme asks for TLS."""
        return self.scheme.startswith("rediss")


def store_url(url: str) -> StoreUrl:
    """Take a store's URL apart.

    Raises:
        ValueError: it is none, or says something that would be ignored; what stood there is not repeated.
    """
    scheme = url.partition(":")[0]
    if scheme not in SCHEMES:
        raise ValueError(f"a store is one of {', '.join(name + '://' for name in SCHEMES)}")
    family, _, kind = scheme.partition("+")
    path_form, form = _PATHS[kind if family.startswith("redis") else family]
    parts = _PARTS.fullmatch(url)
    if parts is not None and ":" in (parts["user"] or ""):
        raise ValueError("a password in the URL would be shown by every tool that prints it; use password_file")
    path = re.fullmatch(path_form, parts["path"] or "") if parts else None
    if parts is None or path is None or (not parts["servers"]) != (family in ("memory", "sqlite")):
        lacks_host = family.startswith("redis") and parts is not None and not parts["servers"]
        raise ValueError("a Redis store needs a host in store.url" if lacks_host else f"store.url is written {form}")
    said = path.groupdict()
    return StoreUrl(
        scheme=scheme,
        kind=kind,
        user=unquote(parts["user"]) if parts["user"] else None,
        servers=_servers(parts["servers"], _PORTS.get(kind or family, _REDIS_PORT)) if parts["servers"] else (),
        name=unquote(said.get("name") or ""),
        database=int(said.get("database") or 0),
    )


def _servers(text: str, port: int) -> tuple[tuple[str, int], ...]:
    return tuple(_server(each, port) for each in text.split(","))


def _server(text: str, port: int) -> tuple[str, int]:
    if text.startswith("["):
        found = _BRACKETED.fullmatch(text)
        try:
            IPv6Address(found["name"] if found else "")
        except ValueError:
            raise ValueError("store.url has no IPv6 address between its brackets") from None
    elif text.count(":") > 1:
        raise ValueError("store.url: an IPv6 address stands in brackets, [::1]:6379")
    elif not text.partition(":")[0]:
        raise ValueError("store.url needs a host for every server")
    else:
        found = _NAMED.fullmatch(text)
    if found is None or not 0 < int(found["port"] or port) <= _MOST_PORTS:
        raise ValueError("store.url: a server is written host[:port], a port up to 65535")
    return found["name"].lower(), int(found["port"] or port)
