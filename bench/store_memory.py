"""How much memory does a store need for each remembered token?  A million uses, written by the very script.

Every use has a witness of WITNESS bytes, about what the service leaves; its size is told apart from the rest by a run
without any.  The run is void unless the store holds one key for every use.
"""

import argparse
import secrets
import sys

import redis

from bench.spend import BOUNDS, CLOCK, valkey
from ott_extauthz.ports import Use
from ott_extauthz.stores.redislist import script
from ott_extauthz.stores.redislist.node import fence_margin_ms

TOKENS = 1_000_000
BATCH = 2_000
WITNESS = 64


def _fill(port: int, tokens: int, witness: int) -> None:
    spends = script.SpendScript(max_skew_ms=BOUNDS.max_skew, margin_ms=fence_margin_ms(BOUNDS))
    with redis.Redis(port=port, protocol=2, socket_timeout=60) as client:
        client.script_load(script.SCRIPT)
        connection = client.connection_pool.get_connection()
        for _ in range(tokens // BATCH):
            now = CLOCK.now_ms()
            uses = [
                Use(
                    key=secrets.token_bytes(32),
                    nonce=secrets.token_bytes(16),
                    issued_at_ms=now + 600_000,
                    keep_until_ms=now + 3_600_000,
                    now_ms=now,
                    witness=b"w" * witness,
                )
                for _ in range(BATCH)
            ]
            connection.send_packed_command([spends.spend([spends.packed_use(use) for use in uses])])
            if not all(bytes(answer).startswith(b"first ") for answer in connection.read_response()):
                raise AssertionError("a fresh token was not accepted; the run is void")
        client.connection_pool.release(connection)


def measure(tokens: int, witness: int) -> float:
    """Return bytes for each remembered token."""
    with valkey() as port, redis.Redis(port=port, protocol=2) as client:
        _fill(port, BATCH, 0)
        client.flushall()
        before = client.info("memory")["used_memory"]
        _fill(port, tokens, witness)
        used = client.info("memory")["used_memory"] - before
        if client.dbsize() != tokens + 1:  # the fence
            raise AssertionError("the store does not hold one key for every use; the run is void")
        return float(used / tokens)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    tokens = parser.parse_args().tokens // BATCH * BATCH
    for witness in (0, WITNESS):
        print(f"{tokens} tokens, witness of {witness:3d} bytes: {measure(tokens, witness):6.1f} bytes/token")
    return 0


if __name__ == "__main__":
    sys.exit(main())
