"""Which mutants are tried?  A sample that a seed brings back, with some of every module and more of what guards most.

A mutant's place in the queue is a digest of the seed and its name: code that changes elsewhere does not move it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Final

LEAST: Final = 3
"""How many of a module are tried at least, where it has as many."""

GUARD_WEIGHT: Final = 4
GUARDS: Final = frozenset(
    f"ott_extauthz.{name}"
    for name in (
        "policy.table",
        "policy.requirements",
        "policy.clients",
        "policy.holding",
        "policy.rules",
        "policy.situations",
        "policy.constraints.address",
        "policy.constraints.amount",
        "policy.constraints.bound_request",
        "policy.constraints.brand",
        "policy.constraints.charging",
        "policy.constraints.hours",
        "policy.constraints.judgement",
        "policy.constraints.region",
        "policy.constraints.request",
        "authn.signed_token",
        "authn.access_token",
        "authn.actors",
        "authn.claims",
        "authn.mandates",
        "authn.binding",
        "authn.extract",
        "authn.compact",
        "authn.jwks",
    )
)


def sample_of(mutants: Mapping[str, Sequence[str]], count: int, seed: int) -> list[str]:
    """Return about ``count`` of the mutants, given by module, in the order of the modules' names."""
    weights = {module: len(names) * (GUARD_WEIGHT if module in GUARDS else 1) for module, names in mutants.items()}
    whole = sum(weights.values())
    return [
        name
        for module, names in sorted(mutants.items())
        for name in queued(names, seed)[: max(LEAST, ceil(count * weights[module] / whole))]
    ]


def queued(names: Iterable[str], seed: int) -> list[str]:
    """Return the names in the order in which this seed tries them."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
