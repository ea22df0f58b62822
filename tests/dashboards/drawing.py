"""How does a dashboard look?  Drawn with matplotlib, each panel where Grafana puts it; no Grafana has a part in it."""

import importlib
import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

WIDTH, ROW = 14.0, 0.32
"""Inches of the whole, and of one row of the grid."""

MOST_ROWS, MOST_LEGENDS, MANY = 7, 6, 100
COLOURS: Final = {"green": "#3d9a50", "yellow": "#c79a1b", "red": "#c4342d", "blue": "#3a6fb0"}
Box = tuple[float, float, float, float]
UNITS: Final = {"reqps": "/s", "ops": "/s"}


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its name, its labels, and (seconds since the epoch, value)."""

    name: str
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> float:
        """The last value."""
        return self.points[-1][1] if self.points else math.nan


def told(value: float, unit: str) -> str:
    """Return a value as people read it."""
    if math.isnan(value):
        return "no data"
    if unit == "percentunit":
        return f"{value:.2%}"
    if unit == "s":
        return _seconds(value)
    figures = f"{value:,.0f}" if abs(value) >= MANY or value == int(value) else f"{value:.2g}"
    return figures + UNITS.get(unit, "")


def _seconds(value: float) -> str:
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
        if abs(value) >= size:
            return f"{value / size:.3g} {name}"
    return f"{value * 1e6:.3g} µs" if value else "0 s"


def draw(board: dict[str, Any], data: Mapping[int, Sequence[Series]], span: tuple[float, float], path: Path) -> None:
    """Draw a dashboard over a span of time with the series of each panel, by the panel's id."""
    import matplotlib as mpl  # noqa: PLC0415 - only the pictures need it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    height = (rows + 2) * ROW
    figure = plt.figure(figsize=(WIDTH, height), dpi=80)
    figure.text(0.012, 1 - 0.8 * ROW / height, board["title"], fontsize=13, weight="bold", va="center")
    for panel in board["panels"]:
        place = panel["gridPos"]
        top = 1 - (place["y"] + 1.6) * ROW / height
        box = (place["x"] / 24, top - place["h"] * ROW / height, place["w"] / 24, place["h"] * ROW / height)
        axes = _panel(figure, panel, box, data.get(panel["id"], ()))
        if axes is not None and panel["type"] == "timeseries":
            axes.set_xlim(_date(span[0]), _date(span[1]))
    _save(figure, path)
    plt.close(figure)


def _panel(figure: Any, panel: dict[str, Any], box: Box, series: Sequence[Series]) -> Any:
    x, y, width, height = box
    if panel["type"] == "row":
        figure.text(x + 0.012, y + height / 2, panel["title"], fontsize=10, weight="bold", va="center", color="#444444")
        return None
    title = figure.text(x + 0.012, y + height - 0.1 / figure.get_figheight(), panel["title"], fontsize=8, va="top")
    if panel["type"] == "stat":
        _stat(figure, panel, box, series)
        title.set_color("white")
        return None
    lines = 1 + min(len(series), MOST_LEGENDS) if panel["type"] == "timeseries" else 0
    legend = 0.16 * lines / figure.get_figheight()
    top, bottom = 0.36 / figure.get_figheight(), legend + 0.3 / figure.get_figheight()
    axes = figure.add_axes((x + 0.042, y + bottom, width - 0.05, height - top - bottom))
    {"timeseries": _lines, "heatmap": _heatmap, "table": _table}[panel["type"]](axes, panel, series)
    return axes


def _stat(figure: Any, panel: dict[str, Any], box: Box, series: Sequence[Series]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    value = series[0].last if series else math.nan
    colour = COLOURS["blue"]
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or (not math.isnan(value) and value >= step["value"]):
            colour = COLOURS[step["color"]]
    x, y, width, height = box
    axes = figure.add_axes((x + 0.006, y + 0.004, width - 0.012, height - 0.004), zorder=-1)
    axes.set_facecolor(colour)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    axes.text(0.5, 0.4, told(value, defaults["unit"]), fontsize=17, color="white", ha="center", va="center")


def _lines(axes: Any, panel: dict[str, Any], series: Sequence[Series]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    unit = defaults["unit"]
    shown = sorted(series, key=lambda one: -max((value for _, value in one.points), default=0))
    if defaults["custom"]["stacking"]["mode"] == "normal" and shown:
        times = sorted({at for one in shown for at, _ in one.points})
        values = [[dict(one.points).get(at, 0.0) for at in times] for one in shown]
        axes.stackplot([_date(at) for at in times], values, labels=[one.name for one in shown], alpha=0.75, linewidth=0)
    else:
        for one in shown:
            axes.plot(
                [_date(at) for at, _ in one.points], [value for _, value in one.points], label=one.name, linewidth=1
            )
    if not shown:
        axes.text(0.5, 0.5, defaults.get("noValue", "no data"), transform=axes.transAxes, ha="center", fontsize=9)
    if defaults.get("min") == 0:
        axes.set_ylim(bottom=0)
    _scales(axes, unit)
    for number, one in enumerate(shown[:MOST_LEGENDS]):
        most = max(value for _, value in one.points)
        text = f"{one.name[:44]}   last {told(one.last, unit)}, max {told(most, unit)}"
        colour = axes.collections[number].get_facecolor()[0] if axes.collections else axes.lines[number].get_color()
        below = -(0.34 + 0.16 * number) / (axes.get_position().height * axes.figure.get_figheight())
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top"}
        axes.annotate("■", (0, below), xytext=(0, 0), color=colour, fontsize=7, **place)
        axes.annotate(text, (0, below), xytext=(9, 0), fontsize=6.5, **place)


def _heatmap(axes: Any, panel: dict[str, Any], series: Sequence[Series]) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    if not series:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", fontsize=9)
        return
    bounds = sorted(series, key=lambda one: float(one.labels["le"]))
    times = sorted({at for one in bounds for at, _ in one.points})
    counts = [[dict(one.points).get(at, 0.0) for at in times] for one in bounds]
    below = [[0.0] * len(times), *counts[:-1]]  # buckets are cumulative
    inside = [
        [max(0.0, each - less) for less, each in zip(low, high, strict=True)]
        for low, high in zip(below, counts, strict=True)
    ]
    dates = [_date(at) for at in times]
    shades = [[value**0.5 for value in row] for row in inside]
    axes.pcolormesh(dates, range(len(bounds)), shades, cmap="Oranges", shading="nearest")
    names = ["more" if one.labels["le"] == "+Inf" else told(float(one.labels["le"]), unit) for one in bounds]
    axes.set_yticks(range(len(bounds)), names, fontsize=6)
    _time_axis(axes)


def _table(axes: Any, panel: dict[str, Any], series: Sequence[Series]) -> None:
    axes.axis("off")
    unit = panel["fieldConfig"]["defaults"]["unit"]
    rows = sorted(series, key=lambda one: -one.last)[:MOST_ROWS]
    if not rows:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", fontsize=9)
        return
    columns = sorted({label for one in rows for label in one.labels if label != "__name__"})
    cells = [
        [*(textwrap.shorten(one.labels.get(label, ""), 30) for label in columns), told(one.last, unit)] for one in rows
    ]
    head = [*columns, "Value"]
    table = axes.table(cellText=cells, colLabels=head, loc="upper center", cellLoc="left", edges="horizontal")
    table.auto_set_font_size(value=False)
    table.set_fontsize(7)


def _scales(axes: Any, unit: str) -> None:
    axes.grid(visible=True, linewidth=0.3)
    axes.yaxis.set_major_formatter(lambda value, _: told(value, unit))
    axes.tick_params(axis="y", labelsize=6)
    _time_axis(axes)


def _time_axis(axes: Any) -> None:
    dates: Any = importlib.import_module("matplotlib.dates")
    axes.xaxis.set_major_locator(dates.AutoDateLocator(maxticks=6))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M:%S"))
    axes.tick_params(axis="x", labelsize=6)


def _date(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _save(figure: Any, path: Path) -> None:
    """Write with few colours: a picture in a repository is kept for ever."""
    image: Any = importlib.import_module("PIL.Image")  # comes with matplotlib, as the chaos group has it
    raw = io.BytesIO()
    figure.savefig(raw, format="png")
    raw.seek(0)
    image.open(raw).convert("RGB").quantize(64, dither=image.Dither.NONE).save(path, optimize=True)
