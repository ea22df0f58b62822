"""Run every measurement: `make bench`."""

import asyncio
import platform

from bench import check_cost


async def main() -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}")
    await check_cost.start_and_memory()
    await check_cost.check_cost()


asyncio.run(main())
