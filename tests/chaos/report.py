"""The figures as Markdown for the README, and as a picture of acceptance and refusal over time."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.chaos.ledger import Findings
from tests.chaos.run import Report

TITLE: Final = "# Chaos: what was tried against single use, and what came of it\n"
TRIES: Final = """\
Written by `make chaos`. *Check* tries go through two real Check servers by gRPC, *list* tries straight to the
product's used-list in other processes, on the same store. A try is *wrongly refused* if a fresh token's first use is
refused while no fault lies within the last fence margin + 1 s, or is at any time called a replay. The margin is 2 s
(the default clock bounds); behind Sentinel and Cluster a lease of 2 s comes on top. `store.timeout` is 1 s.
*Starved* are fresh tokens refused without a fault while a process of the run waited for the processor for 0.15 s or
longer, as Linux counted it: the machine's fault.
"""
OUTAGES: Final = """
Longest time, at the worst door, during which no fresh token was accepted; in brackets how much of it lay after the end
of the fault.
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def markdown(reports: Sequence[Report], skipped: Sequence[tuple[str, str]]) -> str:
    """Return the whole document."""
    parts = [TITLE, TRIES, _totals(reports), OUTAGES, _outages(reports)]
    parts += [f"\nNot run: {name}, {why}." for name, why in skipped]
    return "\n".join(parts) + "\n"


def _totals(reports: Sequence[Report]) -> str:
    head = (
        "store",
        "tries (Check + list)",
        "accepted",
        "accepted twice",
        "refused wrongly",
        "starved",
        "faults",
        "seconds",
    )
    rows = [
        (
            one.name,
            _tries([one.findings]),
            f"{one.findings.accepted:,}",
            str(len(one.findings.twice)),
            str(len(one.findings.wrongly)),
            str(one.findings.starved),
            str(len(one.happened)),
            f"{one.seconds:.0f}",
        )
        for one in reports
    ]
    total = (
        "all",
        _tries([one.findings for one in reports]),
        f"{sum(one.findings.accepted for one in reports):,}",
        str(sum(len(one.findings.twice) for one in reports)),
        str(sum(len(one.findings.wrongly) for one in reports)),
        str(sum(one.findings.starved for one in reports)),
        str(sum(len(one.happened) for one in reports)),
        f"{sum(one.seconds for one in reports):.0f}",
    )
    return _table(head, [*rows, total])


def _tries(findings: Iterable[Findings]) -> str:
    found = list(findings)
    check, straight = (sum(one.tried[kind] for one in found) for kind in ("check", "list"))
    return f"{check + straight:,} ({check:,} + {straight:,})"


def _outages(reports: Sequence[Report]) -> str:
    worst: dict[str, dict[str, tuple[float, float]]] = {}
    for report in reports:
        for one in report.findings.outages:
            longest, after = worst.setdefault(one.fault.name, {}).get(report.name, (0.0, 0.0))
            worst[one.fault.name][report.name] = (max(longest, one.longest), max(after, one.after_end))
    rows = []
    for fault, found in worst.items():
        cells = [
            f"{found[one.name][0]:.1f} s ({found[one.name][1]:.1f})" if one.name in found else "" for one in reports
        ]
        rows.append((fault, *cells))
    return _table(("fault", *(one.name for one in reports)), rows)


def told(report: Report) -> str:
    """Return one run in a few lines, with every finding that should not be."""
    found = report.findings
    outcomes = ", ".join(f"{outcome.name.lower()} {count:,}" for outcome, count in found.outcomes.items() if count)
    counts = f"accepted twice {len(found.twice)}, refused wrongly {len(found.wrongly)}, late {len(found.late)}"
    counts += f"; {found.starved} first uses refused for want of the processor"
    lines = [
        f"{report.name}: {found.total:,} tries in {report.seconds:.0f} s, {len(report.happened)} faults; {outcomes}",
        f"  {counts}",
        *(f"  TWICE {line}" for line in found.twice[:10]),
        *(f"  WRONGLY {line}" for line in found.wrongly[:10]),
    ]
    lines += [
        f"  LATE after {one.fault.name} at {one.fault.start - report.begin:.1f} s: {one.longest:.2f} s, "
        f"{one.after_end:.2f} s after its end, processor missing for {one.starved:.2f} s"
        for one in found.late
    ]
    return "\n".join(lines)


def plot(report: Report, path: Path) -> None:
    """Draw accepted and refused tries per 100 ms, with the faults marked; needs requirements/chaos.lock."""
    import matplotlib as mpl  # noqa: PLC0415 - only `make chaos` has it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    buckets = report.findings.per_100_ms
    times = range(max(0, min(buckets, default=0)), max(buckets, default=0) + 1)
    figure, axes = plt.subplots(figsize=(max(10.0, report.seconds / 8), 4.5))
    for index, (label, colour) in enumerate((("accepted", "tab:green"), ("refused", "tab:gray"))):
        counts = [buckets[time][index] if time in buckets else 0 for time in times]
        axes.plot([time / 10 for time in times], counts, label=label, color=colour, linewidth=0.8)
    for one in report.happened:
        start, end = one.start - report.begin, one.end - report.begin
        axes.axvspan(start, max(end, start + 0.1), color="tab:red", alpha=0.25)
        axes.text(start, 1.01, one.name, rotation=60, fontsize=6, transform=axes.get_xaxis_transform())
    axes.set_yscale("symlog")
    axes.set_xlabel("seconds")
    axes.set_ylabel("tries per 100 ms")
    axes.legend(loc="lower right", fontsize=7)
    accepted_twice = f"{len(report.findings.twice)} accepted twice"
    axes.set_title(f"{report.name}: {report.findings.total:,} tries, {accepted_twice}", fontsize=9, pad=90)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
