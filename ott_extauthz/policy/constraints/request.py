"""What does the request show of itself?  Its JSON body, read once and only when a constraint asks for it."""

import re
from dataclasses import dataclass
from typing import Any, Final

from ott_extauthz.model.facts import Facts
from ott_extauthz.model.json_body import json_body
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.asked import Asked
from ott_extauthz.policy.limits import Limits
from ott_extauthz.policy.pointer import MISSING

# The same bytes can be JSON with one amount and a form with another: what the upstream is told must be JSON in UTF-8.
_JSON_TYPE: Final = re.compile(
    r"application/(?:[a-z0-9!#$&^_.+-]{1,64}\+)?json(?:[ \t]*;[ \t]*charset=(?:utf-8|\"utf-8\"))?",
    re.IGNORECASE | re.ASCII,
)

_PLAIN: Final = ("identity",)


@dataclass(slots=True)
class Request:
    """One request under judgement; ``asked`` and the route's ``limits`` are what is known of it."""

    asked: Asked
    limits: Limits
    _json: Any = MISSING

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body's JSON value, or the Reason why there is none."""
        if self._json is MISSING:
            self._json = json_of(self.asked.facts)
        return self._json


def json_of(facts: Facts) -> Any:  # noqa: ANN401 - JSON
    """Return the body's JSON value, or the Reason why there is none."""
    if facts.headers.get("content-encoding", _PLAIN) != _PLAIN:  # the upstream would unpack other bytes from these
        return Reason.BODY_MALFORMED
    types = facts.headers.get("content-type", ())
    if len(types) != 1 or not _JSON_TYPE.fullmatch(types[0]):
        return Reason.BODY_MALFORMED
    return json_body(facts.body)
