"""Which autonomous system announces an address?  A file in MaxMind's format (GeoLite2-ASN and its kin), read whole.

Needs the extra ``geoip``.  The file is read once: a new one takes effect with a new process.
"""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from ott_extauthz.ports import AsnLookup

MAX_BYTES: Final = 256 * 1024 * 1024
_FIELD: Final = "autonomous_system_number"


class AsnFileError(Exception):
    """The file cannot be used; the message says why."""


def asn_lookup(path: Path) -> AsnLookup:
    """Return the lookup in ``path``.

    The lookup itself raises maxminddb's InvalidDatabaseError where the file is damaged behind its head.

    Raises:
        AsnFileError: the extra is not installed, or the file is none of autonomous systems.
        OSError: the file cannot be read.
    """
    try:
        import maxminddb  # noqa: PLC0415 - an extra
    except ImportError:
        raise AsnFileError("needs the package maxminddb: install ott-extauthz[geoip]") from None
    if path.stat().st_size > MAX_BYTES:
        raise AsnFileError(f"larger than {MAX_BYTES} bytes")
    try:
        reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY)
    except (maxminddb.InvalidDatabaseError, ValueError):
        raise AsnFileError("not a file in MaxMind's format") from None
    kind, is_ipv6 = reader.metadata().database_type, reader.metadata().ip_version == 6  # noqa: PLR2004
    if "ASN" not in kind and "ISP" not in kind:
        raise AsnFileError("not a file of autonomous systems (database_type has neither ASN nor ISP)")

    def asn_of(address: IPv4Address | IPv6Address) -> int | None:
        record = reader.get(address) if is_ipv6 or isinstance(address, IPv4Address) else None
        number = record.get(_FIELD) if isinstance(record, dict) else None
        return number if isinstance(number, int) else None

    return asn_of
