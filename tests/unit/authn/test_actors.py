"""The outermost actor counts, and a chain that is malformed anywhere is no chain."""

from typing import Any

import pytest

from ott_extauthz.authn.actors import MOST_ACTORS, actor_from
from ott_extauthz.authn.fault import ClaimsError


def chain(length: int) -> dict[str, Any]:
    actor: dict[str, Any] = {"sub": f"actor-{length}"}
    for number in range(length - 1, 0, -1):
        actor = {"sub": f"actor-{number}", "act": actor}
    return actor


def test_nobody_acts_where_nobody_is_named() -> None:
    assert actor_from({"sub": "player-1"}) is None


@pytest.mark.parametrize("length", [1, 2, MOST_ACTORS])
def test_the_outermost_actor_counts(length: int) -> None:
    assert actor_from({"act": chain(length)}) == "actor-1"


@pytest.mark.parametrize(
    "act",
    [
        None, "x", ["x"], {}, {"sub": ""}, {"sub": 1}, {"sub": "a\nb"}, {"sub": "x" * 513}, {"iss": "https://a"},
        {"sub": "a", "act": None}, {"sub": "a", "act": {"client_id": "b"}}, {"sub": "a", "act": {"sub": "b", "act": 1}},
        chain(MOST_ACTORS + 1), chain(60),
    ],
)  # fmt: skip
def test_a_malformed_or_endless_chain_is_refused(act: object) -> None:
    with pytest.raises(ClaimsError, match="act"):
        actor_from({"act": act})
