"""``python -m tests.chaos``: every store, every fault; exits with 1 if a promise was broken.

Options: ``--stores a,b``, ``--seconds`` for each store, ``--seed``, ``--quick`` (every fault about once), ``--out``.
"""

import argparse
import asyncio
import importlib.util
import signal
import sys
from pathlib import Path
from subprocess import SubprocessError
from tempfile import TemporaryDirectory

from redis.exceptions import RedisError

from tests.chaos.report import markdown, plot, told
from tests.chaos.run import Plan, Report, run
from tests.chaos.stores import STORES
from tests.chaos.topology import AbsentError

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 120.0
QUICK_CALM = 1.2


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Try to have a token accepted twice.")
    parser.add_argument("--stores", default=",".join(STORES), help="which, separated by commas")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="about how long for each store")
    parser.add_argument("--seed", type=int, default=1, help="of the schedule and the clients")
    parser.add_argument("--quick", action="store_true", help="every fault once, with short calm between")
    parser.add_argument("--out", type=Path, default=DOCS, help="where chaos.md and the pictures go")
    options = parser.parse_args()
    unknown = set(options.stores.split(",")) - STORES.keys()
    if unknown:
        parser.error(f"--stores: no {', '.join(sorted(unknown))}; there are {', '.join(STORES)}")
    return options


def _run_one(name: str, options: argparse.Namespace) -> Report:
    plan = Plan(seconds=options.seconds, seed=options.seed)
    if options.quick:
        plan.once, plan.calm = True, QUICK_CALM
    with TemporaryDirectory(prefix="ott-chaos-") as folder:
        topology = STORES[name](Path(folder))
        return asyncio.run(run(topology, Path(folder) / "run", plan))


def main() -> int:
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):  # either lets every server that was started be ended
        signal.signal(number, signal.default_int_handler)
    reports: list[Report] = []
    skipped: list[tuple[str, str]] = []
    broken: list[tuple[str, str]] = []
    options.out.mkdir(parents=True, exist_ok=True)
    has_plots = importlib.util.find_spec("matplotlib") is not None
    for name in options.stores.split(","):
        try:
            report = _run_one(name, options)
        except AbsentError as error:
            skipped.append((name, str(error)))
            _say(f"{name}: skipped, {error}")
            continue
        except (AssertionError, OSError, RedisError, SubprocessError, TimeoutError) as error:
            broken.append((name, f"the suite itself broke: {type(error).__name__}: {error}"))
            _say(f"{name}: {broken[-1][1]}")
            continue
        _say(told(report))
        reports.append(report)
        if has_plots:
            plot(report, options.out / f"chaos-{name}.png")
        (options.out / "chaos.md").write_text(markdown(reports, skipped + broken), encoding="utf-8")
    _say(markdown(reports, skipped + broken))
    tries, twice = sum(one.findings.total for one in reports), sum(len(one.findings.twice) for one in reports)
    _say(f"{tries:,} tries, {twice} accepted twice")
    return 0 if reports and not broken and all(one.findings.holds for one in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
