"""How far did a Check come?  Its steps, in their order."""

from enum import StrEnum


class Step(StrEnum):
    """The steps of a Check, in their order; an attempt stops in the one that refuses."""

    DECODE = "decode"
    ROUTE = "route"
    CREDENTIAL = "credential"
    VERIFY = "verify"
    BIND = "bind"
    AUTHORIZE = "authorize"
    SPEND = "spend"
    ATTACH = "attach"
    ALLOW = "allow"


Mark = tuple[Step, float]
"""A step that was entered, and when: seconds of the monotonic clock."""
