"""Why do spans go nowhere?"""

from enum import StrEnum


class Dropped(StrEnum):
    """What became of spans that no collector has: the label of ``ott_spans_dropped_total``."""

    QUEUE_FULL = "queue_full"
    EXPORT_FAILED = "export_failed"
    REJECTED = "rejected"
