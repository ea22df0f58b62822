"""``python -m tests.chaos.rolling``: three Check servers behind a real Envoy, restarted in turn under load.

Nothing may be refused and nothing accepted twice.  Then a worker of one parent is killed (SIGKILL), which does lose
calls: how many, and for how long, is what is told.  Exits with 1 if a promise was broken.

Options: ``--transport native,grpcio``, ``--rate`` calls a second (each token is presented twice), ``--calm`` seconds
between two restarts, ``--drain-wait``, ``--only restart|kill``, ``--filter-timeout``.
"""

import argparse
import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import uvloop

from ott_extauthz.demo.programs import find_envoy
from tests.chaos.callers import Call, Callers, Deliveries
from tests.chaos.fleet import SHIPPED_TIMEOUT, WITHIN, Fleet, Kind, started
from tests.chaos.starvation import Period, Watch, merged
from tests.e2e.servers import CheckServer
from tests.processes import VALKEY, running

GRACE: Final = "5s"
SECOND_WITHIN: Final = 4.0
AFTERMATH: Final = 1.0
"""Seconds after the processor was missing in which Envoy may still think so."""

HEAD: Final = (
    "transport",
    "phase",
    "calls/s",
    "calls",
    "failed",
    "starved",
    "p50",
    "p99",
    "longest",
    "drained in",
    "back after",
)


@dataclass(frozen=True, slots=True)
class Phase:
    """What was done, and from when until when on the loop's clock; ``marks`` are what took how long, in seconds."""

    name: str
    start: float
    end: float
    marks: tuple[float, ...] = ()


@dataclass(kw_only=True)
class Findings:
    """What a run was and what was found."""

    kind: Kind
    rate: float
    phases: list[Phase]
    calls: list[Call]
    held_back: int
    delivered: Counter[str]
    checks: list[int]
    starved: list[Period]
    tokens: dict[int, list[Call]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for call in self.calls:
            self.tokens[call.token].append(call)

    @property
    def twice(self) -> list[str]:
        """Tokens that were accepted twice, as their callers saw it, or as the service behind the gateway did."""
        seen = [f"token {number}" for number, calls in self.tokens.items() if _accepted(calls) > 1]
        return seen + [name for name, count in self.delivered.items() if count > 1]

    @property
    def never(self) -> list[str]:
        """Tokens whose every presentation was refused."""
        return [f"token {number}: {calls}" for number, calls in self.tokens.items() if not _accepted(calls)]

    @property
    def failed(self) -> list[Call]:
        """Calls whose answer is neither an allow nor "this was used before"; the machine's own fault left out."""
        return [call for call in self.calls if not _is_expected(call) and not self.is_excused(call)]

    @property
    def excused(self) -> int:
        """How many calls failed while a process of the run waited for the processor."""
        return sum(not _is_expected(call) and self.is_excused(call) for call in self.calls)

    def is_excused(self, call: Call) -> bool:
        """Whether the processor was missing about then: a starved health check or drain answers late."""
        begin, end = call.start - AFTERMATH, call.start + call.seconds
        return any(since <= end and until >= begin for since, until in self.starved)

    def of(self, phase: Phase) -> list[Call]:
        """The calls that began in a phase."""
        return [call for call in self.calls if phase.start <= call.start < phase.end]


def _accepted(calls: Sequence[Call]) -> int:
    return sum(call.status == 200 for call in calls)


def _is_expected(call: Call) -> bool:
    return call.status == 200 or (call.status == 401 and call.said == "token_replayed")


async def restarted_in_turn(fleet: Fleet, calm: float) -> list[Phase]:
    """Restart every server once: SIGTERM, drain, start again, until Envoy sends it Checks again."""
    phases = [await _calmly(calm)]
    for server in fleet.servers:
        phases.append(await _restarted(fleet, server))
        phases.append(await _calmly(calm))
    return phases


async def killed_in_turn(fleet: Fleet, calm: float) -> list[Phase]:
    """Kill every worker of the one parent once; it is started again without our doing."""
    phases = [await _calmly(calm)]
    for address in fleet.addresses:
        phases.append(await _killed(fleet, address))
        phases.append(await _calmly(calm))
    return phases


async def _calmly(seconds: float) -> Phase:
    start = _now()
    await asyncio.sleep(seconds)
    return Phase("calm", start, _now())


async def _restarted(fleet: Fleet, server: CheckServer) -> Phase:
    start, before = _now(), fleet.checks_of(server.addresses[0])
    process = fleet.process(server).process
    process.terminate()
    code = await asyncio.to_thread(process.wait, WITHIN)
    assert code == 0, fleet.told()
    gone = _now()
    fleet.start(server)
    await fleet.until(server.is_ready)
    await fleet.until_healthy(*server.addresses)
    end = _now()
    await fleet.until(lambda: fleet.checks_of(server.addresses[0]) > before)
    return Phase("restart", start, end, (gone - start, end - gone))


async def _killed(fleet: Fleet, address: str) -> Phase:
    """Kill one; Envoy may not even notice, since it is back within two of its health checks."""
    start, killed, before = _now(), fleet.worker(address), fleet.checks_of(address)
    fleet.kill_worker(address)
    await fleet.until(lambda: fleet.worker(address) not in (None, killed) and fleet.servers[0].is_ready())
    back = _now()
    await fleet.until_healthy(address)
    await fleet.until(lambda: fleet.checks_of(address) > before)
    return Phase("kill", start, _now(), (0.0, back - start))


def _now() -> float:
    return asyncio.get_running_loop().time()


async def run(
    folder: Path, envoy: Path, kind: Kind, *, rate: float, calm: float, second_within: float = SECOND_WITHIN
) -> Findings:
    """Start everything, call, restart or kill, and return what was found."""
    watch = Watch()
    async with Deliveries().serving() as deliveries, started(folder, envoy, deliveries.port, kind) as fleet:
        deliveries.by_token.clear()
        callers = Callers(
            port=fleet.port, context=fleet.caller.context, forge=fleet.forge, rate=rate, second_within=second_within
        )
        scenario = killed_in_turn if kind.supervised else restarted_in_turn
        watching = asyncio.create_task(watch.keep())
        async with callers.calling():
            phases = await scenario(fleet, calm)
        watching.cancel()
        return Findings(
            kind=kind,
            rate=rate,
            phases=phases,
            calls=callers.calls,
            held_back=callers.held_back,
            delivered=deliveries.by_token,
            checks=[fleet.checks_of(address) for address in fleet.addresses],
            starved=merged(watch.periods),
        )


def rows(found: Findings) -> list[tuple[str, ...]]:
    """One row for what was done and one for the calm between, each over all its phases."""
    return [
        _row(found, name, [phase for phase in found.phases if phase.name == name])
        for name in dict.fromkeys(phase.name for phase in found.phases)
    ]


def _row(found: Findings, name: str, phases: Sequence[Phase]) -> tuple[str, ...]:
    calls = [call for phase in phases for call in found.of(phase)]
    broken = [call for call in calls if not _is_expected(call)]
    excused = sum(found.is_excused(call) for call in broken)
    times = sorted(call.seconds for call in calls if call.is_first)
    marks = [f"{max(each):.1f} s" for each in zip(*(phase.marks for phase in phases), strict=True)] or ["", ""]
    figures = [f"{_quantile(times, share) * 1000:.1f} ms" for share in (0.5, 0.99, 1.0)]
    return (
        _transports(found),
        name,
        f"{found.rate:g}",
        f"{len(calls):,}",
        str(len(broken) - excused),
        str(excused),
        *figures,
        *marks,
    )


def _transports(found: Findings) -> str:
    return " + ".join(found.kind.transports)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def told(found: Findings) -> str:
    """The run in a few lines, with every finding that should not be."""
    reasons = Counter(f"{call.status} {call.said}".strip() for call in found.calls if not _is_expected(call))
    counts = f"accepted twice {len(found.twice)}, never accepted {len(found.never)}, failed {len(found.failed)}"
    lines = [
        f"{_transports(found)}: {len(found.tokens):,} tokens, {len(found.calls):,} calls, {counts}",
        f"  answers of all that failed, {found.excused} of them for want of the processor: {dict(reasons)}",
        f"  Checks by server {found.checks}",
        *(f"  TWICE {each}" for each in found.twice[:5]),
        *(f"  FAILED {call}" for call in found.failed[:5]),
    ]
    for phase in found.phases:
        lost = [call.start - phase.start for call in found.of(phase) if not _is_expected(call)]
        if lost or phase.name != "calm":
            moments = sorted(Counter(int(each * 4) / 4 for each in lost).items())
            span = f", by the second they began in: {dict(moments)}" if lost else ""
            marks = ", ".join(f"{mark:.2f} s" for mark in phase.marks)
            lines.append(f"  {phase.name}: {marks}; {len(lost)} of {len(found.of(phase))} calls failed{span}")
    return "\n".join(lines)


def table(rows_: Sequence[Sequence[str]]) -> str:
    """Return the rows as Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (HEAD, ["---"] * len(HEAD), *rows_))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.rolling", description="Restart servers under load.")
    parser.add_argument("--transport", default="native,grpcio", help="which, separated by commas")
    parser.add_argument("--rate", type=float, default=300, help="calls a second, half of them with fresh tokens")
    parser.add_argument("--calm", type=float, default=5, help="seconds before, between and after")
    parser.add_argument("--drain-wait", default="5s", help="drain.wait of the servers")
    parser.add_argument("--filter-timeout", default=SHIPPED_TIMEOUT, help="how long Envoy waits for a Check")
    parser.add_argument("--only", choices=("restart", "kill"), help="one of the two scenarios")
    return parser.parse_args()


def main() -> int:
    options = _options()
    found: list[Findings] = []
    for supervised in (False, True):
        if options.only not in (None, "kill" if supervised else "restart"):
            continue
        for transport in options.transport.split(","):
            with TemporaryDirectory(prefix="ott-rolling-") as name, running(VALKEY, Path(name) / "store") as store:
                drain = {"wait": options.drain_wait, "grace": GRACE}
                kind = Kind(
                    transports=(transport,), store=store.url, drain=drain, timeout=options.filter_timeout,
                    supervised=supervised,
                )  # fmt: skip
                one = run(Path(name), find_envoy(), kind, rate=options.rate, calm=options.calm)
                found.append(uvloop.run(one))
            _say(told(found[-1]))
    _say(table([row for one in found for row in rows(one)]))
    return 0 if all(_holds(one) for one in found) else 1


def _holds(found: Findings) -> bool:
    return not found.twice and (found.kind.supervised or not found.failed)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
