"""Run every measurement: `make bench`."""

import asyncio
import platform

from bench import check_cost
from bench.attach import attach
from bench.credentials import credentials
from bench.mint import mint
from bench.policy_expressions import policy_expressions
from bench.policy_routes import policy_routes


async def main() -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}")
    policy_routes()
    await check_cost.start_and_memory()
    await check_cost.check_cost()
    policy_expressions()
    await mint()


asyncio.run(main())
attach()
credentials()
