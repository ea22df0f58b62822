"""One caller opens and cancels requests by the hundred (CVE-2023-44487): everybody else's Checks go on."""

import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import count

import pytest

from tests.e2e.calling import TIMEOUT
from tests.e2e.conftest import rigs
from tests.e2e.rig import DEBIT, Rig

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("rig", rigs("memory"), indirect=True)]

HEADERS, RST_STREAM, SETTINGS = 1, 3, 4
END_OF_BOTH = 0x5  # END_STREAM and END_HEADERS
AT_ONCE = 100  # what the shipped Envoy lets one connection have open
BURSTS = 40


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: str, value: str) -> bytes:
    """One header as HPACK has it without table and without Huffman (RFC 7541 section 6.2.2); both below 127 bytes."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


CALL = b"".join(
    literal(name, value)
    for name, value in (
        (":method", "POST"), (":scheme", "https"), (":authority", "wallet.api"), (":path", DEBIT), ("x-ott", "none"),
    )
)  # fmt: skip


@contextmanager
def http2(rig: Rig) -> Iterator[ssl.SSLSocket]:
    context = rig.callers["thief"].context_for()
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", rig.ports["shipped"]), timeout=TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as opened,
    ):
        opened.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b""))
        yield opened


def cancel_many(opened: ssl.SSLSocket, streams: Iterator[int], *, pause: float) -> None:
    """Open as many requests as there may be, and cancel them, in one write or shortly after."""
    chosen = [next(streams) for _ in range(AT_ONCE)]
    calls = b"".join(frame(HEADERS, END_OF_BOTH, stream, CALL) for stream in chosen)
    cancels = b"".join(frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big")) for stream in chosen)
    if pause:
        opened.sendall(calls)
        time.sleep(pause)
        opened.sendall(cancels)
    else:
        opened.sendall(calls + cancels)


def ended_under_way(rig: Rig) -> int:
    """How many connections the Check server has ended with Checks on them."""
    name = "cluster.ott.upstream_cx_destroy_remote_with_active_rq"
    return rig.stats(name).get(name, 0)


@pytest.mark.parametrize("pause", [0.0, 0.002])
def test_a_caller_that_cancels_by_the_hundred_ends_no_connection_that_others_checks_are_on(
    rig: Rig, pause: float
) -> None:
    before, statuses = ended_under_way(rig), set()
    for _ in range(BURSTS // 4):
        with http2(rig) as opened:  # at 500 cancelled ones Envoy closes it by itself
            streams = count(1, 2)
            for _ in range(4):
                with suppress(OSError):  # Envoy may have had enough of this caller
                    cancel_many(opened, streams, pause=pause)
                statuses.add(rig.call(token=rig.good()).status)
    assert statuses == {200}
    assert ended_under_way(rig) == before


def test_nor_does_one_that_does_it_over_ten_connections_at_once(rig: Rig) -> None:
    before = ended_under_way(rig)
    assert set(_calls_of_others(rig, connections=10)) == {200}
    assert ended_under_way(rig) == before


def _calls_of_others(rig: Rig, *, connections: int) -> list[int]:
    """What others are answered while so many connections cancel by the hundred."""

    def cancel(opened: ssl.SSLSocket) -> None:
        streams = count(1, 2)
        with suppress(OSError):
            for _ in range(3):
                cancel_many(opened, streams, pause=0.002)

    with ExitStack() as stack, ThreadPoolExecutor(20) as callers, ThreadPoolExecutor(5) as others:
        wave = [stack.enter_context(http2(rig)) for _ in range(connections)]
        for opened in wave:
            callers.submit(cancel, opened)
        tokens = [rig.good() for _ in range(15)]
        return list(others.map(lambda token: rig.call(token=token).status, tokens))
