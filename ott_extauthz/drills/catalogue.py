"""Which drills are there?  In the order in which they are run: what loses the store comes late, for it fences."""

from typing import Final

from ott_extauthz.drills import on_callers, on_clocks, on_keys, on_servers, on_stores, on_tokens
from ott_extauthz.drills.drill import Drill

DRILLS: Final[tuple[Drill, ...]] = (
    *on_tokens.DRILLS, *on_callers.DRILLS, *on_clocks.DRILLS, *on_keys.DRILLS, *on_servers.DRILLS, *on_stores.DRILLS,
)  # fmt: skip


class UnknownDrillError(LookupError):
    """There is no drill of that name; the text says which there are."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no drill {name}; there are {', '.join(drill.name for drill in DRILLS)}")


def chosen(names: list[str]) -> tuple[Drill, ...]:
    """Return the drills of these names in the order in which all are run; all, where none is named.

    Raises:
        UnknownDrillError: a name is no drill's.
    """
    known = {drill.name for drill in DRILLS}
    for name in names:
        if name not in known:
            raise UnknownDrillError(name)
    return tuple(drill for drill in DRILLS if not names or drill.name in names)
