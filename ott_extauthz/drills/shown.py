"""How are drills shown?  Each thing done with what was expected and seen, then a table; or all of it as JSON."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ott_extauthz.drills.drill import Drill, Result, Verdict
from ott_extauthz.drills.observation import Observation

_COLOURS = {Verdict.AS_EXPECTED: "green", Verdict.DIFFERS: "red", Verdict.SKIPPED: "yellow"}


class Shown:
    """Prints drills as they go."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, drill: Drill) -> None:
        """Say what comes."""
        self._console.print(f"\n[bold]{drill.name}[/]: {escape(drill.title)}")

    def tell(self, observation: Observation) -> None:
        """Say what was done, what was expected of it, and what was seen."""
        mark = "[green]ok[/]     " if observation.as_expected else "[red]DIFFERS[/]"
        said = f"expected {observation.expected}; seen {observation.seen}"
        self._console.print(f"  {mark}  {escape(observation.did)}\n           {escape(said)}")

    def end(self, result: Result) -> None:
        """Say where an operator sees it, or why nothing was seen."""
        if result.why is not None:
            self._console.print(f"  [yellow]skipped[/]  {escape(result.why)}")
            return
        look = result.drill.look
        lines = [f"metric {look.metric}", look.log] + [f"alert {alert}" for alert in look.alerts]
        self._console.print("\n".join(f"  look at  {escape(line)}" for line in lines))


def print_summary(console: Console, results: Sequence[Result]) -> None:
    """Print a row for each drill, and how many came out as expected."""
    table = Table("drill", "verdict", "seen as expected", "seconds", box=None, pad_edge=False)
    for result in results:
        verdict = result.verdict
        well = sum(one.as_expected for one in result.observations)
        count = f"{well} of {len(result.observations)}" if result.observations else "-"
        table.add_row(result.drill.name, f"[{_COLOURS[verdict]}]{verdict}[/]", count, f"{result.seconds:.1f}")
    console.print()
    console.print(table)
    console.print(f"\n{told_as_one_line(results)}")


def told_as_one_line(results: Sequence[Result]) -> str:
    """Return how many drills ended how."""
    counts = {verdict: sum(result.verdict is verdict for result in results) for verdict in Verdict}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) + "."


def as_json(results: Sequence[Result]) -> str:
    """Return everything for scripts."""
    return json.dumps([_tree(result) for result in results], indent=2)


def _tree(result: Result) -> dict[str, Any]:
    seen = [
        {"did": one.did, "expected": one.expected, "seen": one.seen, "as_expected": one.as_expected}
        for one in result.observations
    ]
    return {
        **listed(result.drill),
        "verdict": result.verdict,
        "skipped_because": result.why,
        "seconds": round(result.seconds, 3),
        "observations": seen,
    }


def listed(drill: Drill) -> dict[str, Any]:
    """Return what a drill is, for scripts."""
    look = {"metric": drill.look.metric, "log": drill.look.log, "alerts": list(drill.look.alerts)}
    return {"name": drill.name, "title": drill.title, "look": look}
