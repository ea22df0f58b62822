"""``python -m tests.model --schedules 20000 --seed 1``: many more schedules than the tests run, and what came of them.

Leaves with 1 if a right protocol accepted a token twice or overdrew a budget, or if a wrong one never did: then the
model finds nothing.
"""

import argparse
import sys

from tests.model.protocol import RIGHT, RIGHT_CHARGED, Protocol
from tests.model.schedules import Tally, run_many
from tests.model.uses import Move
from tests.model.wrong import WRONG

_COUNTS = ("schedules", "moves", "attempts", "accepted", "used", "fenced", "exhausted", "violations")
_HEAD = ("protocol", *_COUNTS, "first at")
_ROW = "{:40}" + "{:>11}" * (len(_HEAD) - 1)


def _row(tally: Tally) -> str:
    counts = [getattr(tally, name) for name in _COUNTS]
    return _ROW.format(tally.protocol.name, *counts, "-" if tally.first is None else tally.first)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--schedules", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--story", action="store_true", help="tell the first schedule of each that broke the promise")
    arguments = parser.parse_args()

    def run(protocol: Protocol, kinds: frozenset[Move] | None = None) -> Tally:
        tally = run_many(protocol, arguments.schedules, arguments.seed, kinds)
        _say(_row(tally))
        if arguments.story:
            for line in tally.story:
                _say(f"    {line}")
        return tally

    _say(_ROW.format(*_HEAD))
    broken = [protocol for protocol in RIGHT + RIGHT_CHARGED if run(protocol).violations]
    unnoticed = [protocol for protocol, kinds in WRONG.items() if not run(protocol, kinds).violations]
    return 1 if broken or unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
