"""Do a request's headers fit a route?  Conditions that only narrow: no header ever makes a broader route answer.

A caller chooses its headers, so what is not plainly as the policy wrote it is refused:

- A header that decides comes once, and without a comma: servers differ on which of two values counts.
- A name that turns into a deciding one when ``_`` is read as ``-`` is refused.
- Presence means a value: some servers take an empty header for none.
"""

import re
from dataclasses import dataclass
from typing import Final

from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason

CONTENT_TYPE: Final = "content-type"
# gRPC over HTTP/2, "Requests": application/grpc, +format; `;` parameters are read by grpc-go.  grpc-web is another.
_GRPC: Final = re.compile(r"application/grpc(?:\+[a-z0-9.-]+)?(?:;.*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What headers must say.  ``headers`` maps names to the exact value, or None for any; ``is_grpc`` asks for gRPC."""

    headers: tuple[tuple[str, str | None], ...] = ()
    is_grpc: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The headers that these conditions look at."""
        names = frozenset(name for name, _ in self.headers)
        return names | {CONTENT_TYPE} if self.is_grpc else names

    def hold(self, headers: Headers) -> bool:
        """Whether every condition holds, for headers in which :func:`ambiguity` has found nothing."""
        for name, wanted in self.headers:
            value = _value(headers, name)
            if not value or (wanted is not None and value != wanted):
                return False
        return not self.is_grpc or _GRPC.fullmatch(_value(headers, CONTENT_TYPE)) is not None


ANY_HEADERS: Final = Conditions()


def ambiguity(headers: Headers, names: frozenset[str]) -> Reason | None:
    """Return why servers could read one of the headers ``names`` in two ways, or None."""
    for name in headers:
        if "_" in name and name not in names and name.replace("_", "-") in names:
            return Reason.HEADER_LOOKALIKE
    for name in names:
        values = headers.get(name, ())
        if len(values) > 1 or (values and "," in values[0]):
            return Reason.HEADER_DUPLICATED
    return None


def may_both_hold(one: Conditions, other: Conditions) -> bool:
    """Whether some request fits both."""
    theirs = dict(other.headers)
    return not any(_contradict(value, theirs.get(name)) for name, value in one.headers)


def implies(narrow: Conditions, broad: Conditions) -> bool:
    """Whether whatever fits ``narrow`` fits ``broad`` too."""
    ours = dict(narrow.headers)
    return all(name in ours and value in (None, ours[name]) for name, value in broad.headers) and (
        narrow.is_grpc or not broad.is_grpc
    )


def specificity(conditions: Conditions) -> tuple[int, int]:
    """Sort narrower conditions last: where ``implies`` orders two, this does too."""
    return len(conditions.headers) + conditions.is_grpc, sum(value is not None for _, value in conditions.headers)


def _contradict(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _value(headers: Headers, name: str) -> str:
    values = headers.get(name)
    return values[0] if values else ""
