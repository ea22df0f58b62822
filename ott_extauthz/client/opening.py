"""How does an application start?  One block: the issuer connected, files followed, a pool to take tokens from."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from ott_extauthz.client.identity import IdentityFiles
from ott_extauthz.client.issuer import GrpcTokenSource
from ott_extauthz.client.pool import MOST_KEPT, TokenPool


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000  # noqa: TID251 - the client's one system clock

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps."""
        return time.monotonic()


@contextlib.asynccontextmanager
async def open_pool(
    address: str,
    files: IdentityFiles,
    *,
    server_name: str | None = None,
    workload_bound: bool = False,
    most_kept: int = MOST_KEPT,
) -> AsyncIterator[TokenPool]:
    """Yield a pool of tokens from the issuer at ``address``, emptied whenever our certificate changes.

    They are bound to that certificate; with ``workload_bound`` to the SPIFFE ID in it alone.

    Raises:
        IdentityError: the files cannot be used.
    """
    source = GrpcTokenSource(address, files, server_name=server_name, workload_bound=workload_bound)
    pool = TokenPool(source, SystemClock(), most_kept=most_kept)
    source.on_rotated = pool.discard
    following = asyncio.create_task(source.follow(), name="ott certificate files")
    try:
        yield pool
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        await pool.aclose()
        await source.aclose()
