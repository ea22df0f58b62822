"""What does `ott-extauthz drill` do?  Builds the ground, runs drills on it, shows them; the exit code tells."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.markup import escape

from ott_extauthz.demo.programs import EnvoyMissingError, ProgramError
from ott_extauthz.drills.drill import Drill, Result, Verdict
from ott_extauthz.drills.ground import ground
from ott_extauthz.drills.running import all_carried_out, settled
from ott_extauthz.drills.shown import Shown, as_json, print_summary

_AS_EXPECTED, _DIFFERS, _USAGE = 0, 1, 2


def run_drills(drills: Sequence[Drill], *, json_only: bool) -> int:
    """Run drills and print them.

    Returns the exit code: 0 when all came out as expected, 1 when one did not, or none could be run; 2 without Envoy.
    """
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty(), file=StringIO() if json_only else None)
    try:
        results = asyncio.run(_run(drills, console))
    except ProgramError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(escape(str(error)))
        return _USAGE if isinstance(error, EnvoyMissingError) else _DIFFERS
    except asyncio.CancelledError:
        Console(stderr=True).print("\ninterrupted; everything is cleared away")
        return _DIFFERS
    if json_only:
        sys.stdout.write(as_json(results) + "\n")
    return exit_code(results)


def exit_code(results: Sequence[Result]) -> int:
    """Return 0 if something was shown and all of it was as expected; a skipped drill shows nothing."""
    verdicts = {result.verdict for result in results} - {Verdict.SKIPPED}
    return _AS_EXPECTED if verdicts == {Verdict.AS_EXPECTED} else _DIFFERS


async def _run(drills: Sequence[Drill], console: Console) -> list[Result]:
    loop, whole = asyncio.get_running_loop(), asyncio.current_task()
    for ending in (signal.SIGINT, signal.SIGTERM):  # neither may leave Envoy and the servers behind
        loop.add_signal_handler(ending, lambda: whole is not None and whole.cancel())
    began = loop.time()
    console.print("Starting an issuer, four Check servers, a store if there is one, a real Envoy, and a service ...")
    shown = Shown(console)
    async with ground() as here:
        await settled(here)
        console.print(f"All up after {loop.time() - began:.1f} s. Every call goes through Envoy.")
        results = await all_carried_out(drills, here, begin=shown.begin, tell=shown.tell, end=shown.end)
    print_summary(console, results)
    console.print(f"It took {loop.time() - began:.1f} s; everything is cleared away.")
    return results
