"""Where may the demo's servers listen?  Loopback ports that stay free until their server takes them.

Ports that the system gives out itself are also those of outgoing connections: one of these may take it between the
look and the bind.  So they are taken from below that range.
"""

import secrets
import socket
from contextlib import ExitStack
from typing import Final

_FIRST: Final = 20_000
_LAST: Final = 32_000  # Linux gives out 32768 and up
_TRIES: Final = 200


def free_ports(count: int) -> list[int]:
    """Return different ports nobody listens on.

    Raises:
        OSError: none was found, however often tried.
    """
    with ExitStack() as held:  # held open together, so that they differ
        return [_bound(held) for _ in range(count)]


def _bound(held: ExitStack) -> int:
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        try:
            held.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        return port
    raise OSError(f"no free loopback port between {_FIRST} and {_LAST}")
