"""Which part of the policy speaks for this host?  The exact host, then the longest ``*.suffix``, then any host.

- ``*.api`` has one label or more in front: ``a.api`` and ``a.b.api``, never ``api`` itself nor ``xapi``.
- A port is part of a host; without one the scheme's own is meant.  Proxies that ignore ports (Istio) would read a
  port that the policy does not name as one that it does: :meth:`HostIndex.like` lists these readings.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, Generic, TypeVar

T = TypeVar("T")

WILDCARD: Final = "*."
_CACHED: Final = 1024
_PORT: Final = re.compile(r":[0-9]+\Z")  # `[::1]` ends in a bracket, so its last group is none


def name_and_port(host: str) -> tuple[str, str]:
    """Split ``host:8443`` into ``host`` and ``:8443``, which may be empty."""
    found = _PORT.search(host)
    return (host, "") if found is None else (host[: found.start()], found[0])


def is_within(host: str, pattern: str | None) -> bool:
    """Whether every host that ``host`` (a host or itself a pattern) means is one that ``pattern`` means."""
    if pattern is None or host == pattern:
        return True
    if not pattern.startswith(WILDCARD):
        return False
    name, port = name_and_port(host)
    suffix, suffix_port = name_and_port(pattern[1:])
    return port == suffix_port and name.endswith(suffix)


def patterns_of(host: str) -> Iterator[str | None]:
    """Yield every pattern that could speak for ``host``, itself a host or a pattern, the narrowest first."""
    yield host
    name, port = name_and_port(host.removeprefix(WILDCARD))
    if not name.startswith("["):
        labels = name.split(".")
        for start in range(1, len(labels)):
            yield f"{WILDCARD}{'.'.join(labels[start:])}{port}"
    yield None


class HostIndex(Generic[T]):
    """What the policy has for each host pattern; None is any host."""

    def __init__(self, new: Callable[[], T]) -> None:
        self._new = new
        self._by_pattern: dict[str | None, T] = {}
        self._ports: dict[str, list[str]] = {}
        self._depths: tuple[int, ...] = ()
        # Callers choose their hosts: the memory is bounded here in number, by `canonical_host` in length.
        self._seen = lru_cache(maxsize=_CACHED)(self._look_up)

    def at(self, pattern: str | None) -> T:
        """Return what is kept for ``pattern``, made anew the first time."""
        if pattern not in self._by_pattern:
            self._seen.cache_clear()
            self._by_pattern[pattern] = self._new()
            if pattern is not None:
                self._note_port(pattern)
        return self._by_pattern[pattern]

    def tiers(self, host: str) -> tuple[T, ...]:
        """Return what speaks for ``host``, in the documented order."""
        return self._seen(host)[0]

    def like(self, host: str) -> tuple[str, ...]:
        """Return the hosts that a proxy blind to ports could take ``host`` for, where the policy tells them apart."""
        return self._seen(host)[1]

    def _look_up(self, host: str) -> tuple[tuple[T, ...], tuple[str, ...]]:
        tiers = (self._by_pattern.get(pattern) for pattern in self._patterns(host))
        return tuple(tier for tier in tiers if tier is not None), tuple(self._other_ports(host))

    def _other_ports(self, host: str) -> Iterator[str]:
        name, port = name_and_port(host)
        ports: dict[str, None] = {}
        for level in (name, *self._suffixes(name)):
            named = self._ports.get(level, ())
            if port not in named:
                ports.update(dict.fromkeys(named))
        return (name + other for other in ports)

    def _patterns(self, host: str) -> Iterator[str | None]:
        yield host
        if self._depths:
            name, port = name_and_port(host)
            for suffix in self._suffixes(name):
                yield suffix + port
        yield None

    def _suffixes(self, name: str) -> Iterator[str]:
        if not self._depths or name.startswith("["):
            return
        labels = name.split(".")
        for depth in self._depths:
            if depth < len(labels):
                yield f"{WILDCARD}{'.'.join(labels[-depth:])}"

    def _note_port(self, pattern: str) -> None:
        name, port = name_and_port(pattern)
        self._ports.setdefault(name, []).append(port)
        if name.startswith(WILDCARD):
            self._depths = tuple(sorted({*self._depths, name.count(".")}, reverse=True))
