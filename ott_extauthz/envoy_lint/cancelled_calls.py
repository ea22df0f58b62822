"""What must a proxy bound, lest one caller who cancels calls has everybody's Checks fail?

Our transport ``native`` ends a connection on which more Checks are cancelled than it has taken up; ``grpcio`` does not,
and falls behind.  Where nobody says what serves, it is worth no more than a look.
"""

from dataclasses import replace
from typing import Final

from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Rule, Severity

MOST_STREAMS: Final = 20
"""How many cancelled Checks ``native`` bears before it has taken them up."""
PER_CYCLE: Final = "http.max_requests_per_io_cycle"
"""Envoy's runtime key: with 1 a call that is cancelled in the same breath never becomes a Check."""


def as_it_counts(rule: Rule, expected: Expectations) -> Rule:
    """Return the rule with the severity that it has where it is known, or not, what serves."""
    return replace(rule, severity=Severity.NOTE) if expected.transport is None else rule
