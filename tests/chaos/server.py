"""``python -m tests.chaos.server CLOCK SABOTAGES serve …``: the product's command line, with a clock that can be moved.

Only the clock differs from the real thing, and what a removal proof takes out; SABOTAGES is a comma-separated list.
"""

import sys
from pathlib import Path

from tests.chaos.clocks import MovableClock
from tests.chaos.sabotage import commit


def main() -> None:
    clock, sabotages = MovableClock(Path(sys.argv[1])), sys.argv[2]
    commit(filter(None, sabotages.split(",")))
    from ott_extauthz.bootstrap.clock import SystemClock  # noqa: PLC0415 - after the sabotage
    from ott_extauthz.cli import main as command_line  # noqa: PLC0415

    setattr(SystemClock, "now_ms", lambda _: clock.now_ms())  # noqa: B010 - a patch, and meant as one
    sys.argv = ["ott-extauthz", *sys.argv[3:]]
    command_line()


if __name__ == "__main__":
    main()
