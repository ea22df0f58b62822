"""Which host is meant?  One canonical spelling, or none: whatever is outside the grammar is refused, never repaired.

- lower case; one trailing dot removed; the scheme's default port removed; any other port kept (``host:8443``)
- a DNS name: labels of letters, digits, ``-`` (not at an end) and ``_`` (not DNS, but container and SRV names have it)
- IPv4 as four plain decimals, IPv6 in brackets in RFC 5952 form
- empty, a comma (two Host lines joined by Envoy), user-info, percent signs, spaces, non-ASCII: no host at all
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

MAX_HOST_CHARACTERS: Final = 255
"""A DNS name's limit (RFC 1035 §2.3.4), port included: CVE-2026-73550 was an oversized Host."""

_CACHED: Final = 1024  # hosts seen lately; callers choose them, so the memory is bounded in number and in length
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_MAX_PORT: Final = 65535

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_WITH_PORT: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([1-9][0-9]{0,4}))?")
_IPV6: Final = re.compile(r"\[[0-9a-f:]+\]")
# What ends in a number is an IPv4 address to browsers and resolvers: `127.1`, `0x7f.1`, `2130706433`.
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def canonical_host(host: str, scheme: str) -> str | None:
    """Return the one spelling that rules are matched on, or None when ``host`` is not strictly a host."""
    # The length is judged before the cache, or a caller could fill it with headers of 60 KiB.
    return _canonical(host, _DEFAULT_PORTS.get(scheme)) if len(host) <= MAX_HOST_CHARACTERS else None


@lru_cache(maxsize=_CACHED)
def _canonical(host: str, default_port: str | None) -> str | None:
    # ASCII first: `lower()` would turn U+212A, the Kelvin sign, into an innocent `k`.
    found = _WITH_PORT.fullmatch(host.lower()) if host.isascii() else None
    if found is None:
        return None
    name, port = _canonical_name(found[1]), found[2]
    if name is None or (port is not None and int(port) > _MAX_PORT):
        return None
    return name if port in (None, default_port) else f"{name}:{port}"


def _canonical_name(text: str) -> str | None:
    if _IPV6.fullmatch(text):
        return _canonical_ipv6(text[1:-1])
    name = text.removesuffix(".")
    if _NAME.fullmatch(name) is None:
        return None
    return _strict_ipv4(name) if _ENDS_IN_NUMBER.fullmatch(name) else name


def _canonical_ipv6(text: str) -> str | None:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    # An IPv4-mapped address is a second spelling of an IPv4 host.
    return None if address.ipv4_mapped else f"[{address}]"


def _strict_ipv4(text: str) -> str | None:
    try:
        return str(ipaddress.IPv4Address(text))  # refuses leading zeros, which some read as octal
    except ValueError:
        return None
