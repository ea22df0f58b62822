"""Does an address stay on this host?"""

from collections.abc import Iterator
from ipaddress import ip_address

from ott_extauthz.envoy_lint.node import Node


def is_local(address: Node) -> bool:
    """Whether only this host can reach it: loopback, a Unix socket, or a listener inside Envoy."""
    if address["pipe"].is_there or address["envoy_internal_address"].is_there:
        return True
    name = address.at("socket_address", "address").text
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def shown(address: Node) -> str:
    """Return it as people write it."""
    socket = address["socket_address"]
    return f"{socket['address'].text or '?'}:{int(socket['port_value'].number or 0)}"


def bound_to(listener: Node) -> Iterator[Node]:
    """Yield every address that a listener is bound to."""
    yield listener["address"]
    yield from (each["address"] for each in listener["additional_addresses"])
