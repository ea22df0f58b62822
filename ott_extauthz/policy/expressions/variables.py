"""Which names has a condition, of which type, and where do their values stand?

Every field is a variable of its own with a dotted name, so the engine's checker refuses a field that there is not, and
only what is named is converted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from ott_extauthz.policy.expressions.conversion import CONVERTERS
from ott_extauthz.policy.expressions.faults import ValueFault
from ott_extauthz.policy.expressions.situation import UNCLEAR, JsonBody, Situation

HAS: Final = "has."
"""Before a variable's name: the variable that says whether it is there (see :mod:`.presence`)."""

_STRINGS: Final = (
    "request.method request.host request.path request.source.ip? "
    "token.sub token.client_id token.iss token.aud token.id token.txn? token.acr? token.sid? "
    "token.max_amount.currency? peer.spiffe_id? peer.thumbprint? peer.trust_domain? "
    "mandate.identifier? "
    "mandate.max_amount.currency? mandate.budget.currency? mesh.region? mesh.policy_revision mesh.route"
)
_TABLE: Final = {
    "string": _STRINGS,
    "list(string)": "token.scope token.amr? mandate.brand? mandate.region? mandate.cidr?",
    "map(string, string)": "request.path_params request.headers",
    "map(string, list(string))": "request.query?",
    "map(string, dyn)": "token.act? token.claims",
    "int": "request.source.asn?",
    "list(int)": "mandate.asn?",
    "timestamp": "request.time token.auth_time?",
    "amount": "token.max_amount? mandate.max_amount? mandate.budget?",
    "dyn": "request.json?",
}


@dataclass(frozen=True, slots=True)
class Variable:
    """One name: its type in the policy's words, and whether a situation may lack it where its group is there."""

    name: str
    type: str
    is_optional: bool

    def reader(self, members: frozenset[str] | None = None) -> Callable[[Situation], Any]:
        """Return what fetches and converts the value, of a map only ``members``; None when it is absent."""
        group, _, rest = self.name.partition(".")
        fetch_group, fetch, convert = attrgetter(group), _reach(rest), CONVERTERS[self.type]

        def read(situation: Situation) -> Any:  # noqa: ANN401 - a value of any type
            holder = fetch_group(situation)
            value = None if holder is None else fetch(holder)
            if value is None:
                return None
            if value is UNCLEAR:
                raise ValueFault(f"{self.name} has two readings")
            try:
                return convert(value if members is None else _narrowed(value, members))
            except ValueFault as fault:
                raise ValueFault(f"{self.name} {fault.message}") from None

        return read


def _narrowed(value: Any, members: frozenset[str]) -> Any:  # noqa: ANN401
    if isinstance(value, JsonBody):
        return JsonBody(_narrowed(value.value, members))
    return {name: value[name] for name in members if name in value} if isinstance(value, Mapping) else value


def _reach(path: str) -> Callable[[Any], Any]:
    first, _, rest = path.partition(".")
    fetch = attrgetter(first)
    if not rest:
        return fetch
    fetch_rest = attrgetter(rest)

    def reach(holder: Any) -> Any:  # noqa: ANN401
        inner = fetch(holder)
        return inner if inner is None or inner is UNCLEAR else fetch_rest(inner)

    return reach


VARIABLES: Final = {
    name.removesuffix("?"): Variable(name.removesuffix("?"), kind, name.endswith("?"))
    for kind, names in _TABLE.items()
    for name in names.split()
}
"""Every variable by its name."""

GROUPS: Final = frozenset(name.partition(".")[0] for name in VARIABLES)
"""The first words: ``request``, ``token``, ``peer``, ``mandate``, ``mesh``."""
