"""How are drills run?  One after the other on one ground; each must show in the metric that its operator watches."""

import asyncio
import time
from collections.abc import Callable, Sequence

from ott_extauthz.demo.programs import ProgramError
from ott_extauthz.drills.conduct import PATIENCE, Conduct
from ott_extauthz.drills.drill import Drill, Result
from ott_extauthz.drills.ground import Ground
from ott_extauthz.drills.ground_files import FULL
from ott_extauthz.drills.measured import total
from ott_extauthz.drills.observation import Observation
from ott_extauthz.drills.outcome import PASSES, Outcome
from ott_extauthz.drills.store_server import WHY_NONE

_POLL = 0.1


async def settled(ground: Ground) -> None:
    """Wait until every gateway lets a fresh token through: a used-list that has just started vouches for new ones only.

    Raises:
        ProgramError: that does not come to be.
    """
    until = time.monotonic() + PATIENCE
    for name in ground.gateways.keys() - {FULL}:
        while Outcome.of((await ground.debit(await ground.token(), through=name)).reply) != PASSES:
            if time.monotonic() > until:
                raise ProgramError(f"no fresh token gets through the gateway of {name}")
            await asyncio.sleep(_POLL)


async def carried_out(drill: Drill, ground: Ground, tell: Callable[[Observation], None]) -> Result:
    """Carry out one drill, and look whether its metric grew."""
    began = time.monotonic()
    if drill.needs_store and ground.store is None:
        return Result(drill=drill, observations=(), seconds=0.0, why=WHY_NONE)
    conduct = Conduct(ground, tell)
    before = total(await ground.metrics(), drill.look.metric)
    try:
        await drill.run(conduct)
        grown = total(await ground.metrics(), drill.look.metric) > before
        conduct.note(drill.look.metric, "grows", "grows" if grown else "does not grow")
    except ProgramError as error:
        conduct.note("the drill itself", "runs to its end", str(error))
    return Result(drill=drill, observations=tuple(conduct.observations), seconds=time.monotonic() - began)


async def all_carried_out(
    drills: Sequence[Drill],
    ground: Ground,
    *,
    begin: Callable[[Drill], None],
    tell: Callable[[Observation], None],
    end: Callable[[Result], None],
) -> list[Result]:
    """Carry out drills one after the other; whoever shows them is told as they go."""
    results = []
    for drill in drills:
        begin(drill)
        results.append(await carried_out(drill, ground, tell))
        end(results[-1])
    return results
