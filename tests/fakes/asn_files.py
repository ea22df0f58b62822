"""Files of autonomous systems in MaxMind's format, written by a few lines of our own (MaxMind DB format 2.0)."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

_BITS = 32  # of a record in the search tree
_HEAD = b"\xab\xcd\xefMaxMind.com"


def asn_file(networks: Mapping[str, Any], *, kind: str = "Test-ASN", ip_version: int = 6) -> bytes:
    """Return a file in which each network has its data."""
    nodes: list[list[int | None]] = [[None, None]]
    data, ends = b"", []
    for text, value in networks.items():
        bits = _bits(ip_network(text), ip_version)
        node = 0
        for bit in bits[:-1]:
            below = nodes[node][bit]
            if below is None:
                nodes.append([None, None])
                below = nodes[node][bit] = len(nodes) - 1
            node = below
        ends.append((node, bits[-1], len(data)))
        data += _encoded(value)
    records = [[len(nodes) if below is None else below for below in pair] for pair in nodes]
    for node, bit, offset in ends:
        records[node][bit] = len(nodes) + 16 + offset
    tree = b"".join(record.to_bytes(_BITS // 8, "big") for pair in records for record in pair)
    metadata = {
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1, "database_type": kind,
        "description": {}, "ip_version": ip_version, "languages": [], "node_count": len(nodes), "record_size": _BITS,
    }  # fmt: skip
    return tree + bytes(16) + data + _HEAD + _encoded(metadata)


def _bits(network: IPv4Network | IPv6Network, ip_version: int) -> list[int]:
    pad = "0" * 96 if isinstance(network, IPv4Network) and ip_version == 6 else ""
    text = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
    return [int(bit) for bit in pad + text]


def _encoded(value: Any) -> bytes:
    if isinstance(value, str):
        return _control(2, len(value.encode())) + value.encode()
    if isinstance(value, int):
        raw = value.to_bytes(4, "big")
        return _control(6, 4) + raw
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(_encoded(part) for item in value.items() for part in item)
    assert value == []
    return bytes([0, 11 - 7])


def _control(kind: int, size: int) -> bytes:
    return bytes([kind << 5 | size]) if size < 29 else bytes([kind << 5 | 29, size - 29])
