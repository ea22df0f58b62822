"""How does a Check server keep time, write down, reload and leave?"""

from typing import Annotated, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from ott_extauthz.documents.validated import Duration, Model, Size
from ott_extauthz.sections.words import FilePath


class ClockBounds(Model):
    """How far clocks may differ.  The fence's margin follows from these (docs/single-use.md)."""

    max_skew: Duration = 500
    iat_lead: Duration = 500
    exp_leeway: Duration = 2000

    @field_validator("max_skew", "iat_lead", "exp_leeway")
    @classmethod
    def _bounded(cls, value: int) -> int:
        if value > 60_000:  # noqa: PLR2004 - RFC 8725 practice: a leeway is at most a minute
            raise ValueError("at most 60s")
        return value


class Rotate(Model):
    """When a file of the audit becomes ``.1``: before it is larger than ``size``.  ``keep`` older ones stay."""

    size: Size = 100 * 1024 * 1024
    keep: Annotated[int, Field(ge=1, le=1000)] = 10

    @field_validator("size")
    @classmethod
    def _bounded(cls, value: int) -> int:
        if value < 64 * 1024:
            raise ValueError("at least 64KiB")
        return value


class Audit(Model):
    """Where decisions are written down; ``required`` makes a call that cannot be written down a refusal.

    ``path`` is a folder, or ``-`` for the standard output.  Without ``rotate`` nothing is renamed or removed.
    """

    path: Literal["-"] | FilePath
    required: bool = True
    rotate: Rotate | None = None

    @model_validator(mode="after")
    def _only_files_rotate(self) -> "Audit":
        if self.path == "-" and self.rotate is not None:
            raise ValueError("rotate is for files, and path is the standard output; leave one out")
        return self


class Geoip(Model):
    """Where networks are looked up: ``asn`` is a file in MaxMind's format; it needs the extra ``geoip``."""

    asn: FilePath


class Drain(Model):
    """How a server leaves: say NOT_SERVING, ``wait`` so that Envoy sees it, then give running calls ``grace``."""

    wait: Duration = 5000
    grace: Duration = 5000


class Reload(Model):
    """How often files that may change are looked at: policy, shadow policy, key sets.  ``0s``: on SIGHUP only."""

    every: Duration = 1000

    @field_validator("every")
    @classmethod
    def _bounded(cls, value: int) -> int:
        if value and not 100 <= value <= 3_600_000:  # noqa: PLR2004 - a look takes a millisecond; an hour is an outage
            raise ValueError("between 100ms and 1h, or 0s to look on SIGHUP only")
        return value


class MetricsWanted(Model):
    """What is measured beyond the rest.  ``steps``: the time in each step of a Check, for a little time in each."""

    steps: bool = False


class Log(Model):
    """What is logged, to standard error, as JSON lines.

    At most ``refusals_per_second`` lines tell of refusals, as many of replays, and as many of faults; what is left out
    is counted.  A caller's first replay of a token has some room beyond that.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    refusals_per_second: Annotated[int, Field(ge=1, le=100_000)] = 100
