"""Does a caller learn that it was refused?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.guarded import Guarded

AS_SUCCESS: Final = Rule(
    name="refusal-as-success",
    severity=Severity.WARNING,
    title="A refused call may be answered like a good one",
    why="the caller takes a call for done that never reached the upstream",
    mend="an error (400 and more) in status_on_error and in local_reply_config",
)
RULES: Final = (AS_SUCCESS,)

_LEAST_ERROR: Final = 400
_NAMES: Final = {"Continue", "OK", "Created", "Accepted", "NoContent", "MovedPermanently", "Found", "SeeOther"}


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield where the status of a refusal is written anew."""
    outage = guarded.config.at("status_on_error", "code")
    if _is_success(outage):
        yield outage.breaks(AS_SUCCESS, f"an outage is answered with {outage.value}")
    for mapper in guarded.chain.hcm.at("local_reply_config", "mappers"):
        if _is_success(mapper["status_code"]):
            yield mapper["status_code"].breaks(AS_SUCCESS, f"Envoy's own answers become {mapper['status_code'].value}")


def _is_success(status: Node) -> bool:
    number = status.number
    return status.text in _NAMES or (number is not None and 0 < number < _LEAST_ERROR)
