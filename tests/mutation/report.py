"""What did the run find?  Counts by room, and every mutant that lives, with the argument why no test can kill it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.mutation.equivalent import arguments
from tests.mutation.trial import Trial

HEAD = "| room | made | tried | killed | of these by time | alive, argued | alive |\n|---|---|---|---|---|---|---|\n"


def unexplained(found: Sequence[Trial]) -> list[Trial]:
    """Return the mutants that live and are not argued to be equivalent."""
    argued = arguments()
    return [one for one in found if not one.is_killed and _key(one) not in argued]


def markdown(made: Mapping[str, Sequence[str]], found: Sequence[Trial]) -> str:
    """Return the table of counts, then the survivors."""
    return f"{HEAD}{_rows(made, found)}\n{_survivors(found)}"


def _rows(made: Mapping[str, Sequence[str]], found: Sequence[Trial]) -> str:
    rooms: dict[str, Counter[str]] = {}
    for module, names in made.items():
        for room in (_room(module), "all"):
            rooms.setdefault(room, Counter())["made"] += len(names)
    alive = unexplained(found)
    for one in found:
        for room in (_room(one.module), "all"):
            rooms[room]["tried"] += 1
            rooms[room]["killed"] += one.is_killed
            rooms[room]["timeout"] += one.status == "timeout"
            rooms[room]["alive"] += one in alive
            rooms[room]["argued"] += not one.is_killed and one not in alive
    columns = ("made", "tried", "killed", "timeout", "argued", "alive")
    order = sorted(rooms, key=lambda room: (room == "all", room))
    return "".join(f"| {room} | {' | '.join(str(rooms[room][column]) for column in columns)} |\n" for room in order)


def _survivors(found: Sequence[Trial]) -> str:
    argued = arguments()
    lines = [
        f"- `{one.module}`, {one.function}: `{one.removed}` → `{one.added}`: {argued.get(_key(one), one.status)}\n"
        for one in found
        if not one.is_killed
    ]
    return "".join(lines)


def _key(one: Trial) -> tuple[str, str, str]:
    return one.module, one.removed, one.added


def _room(module: str) -> str:
    """Return the room: its package inside ``ott_extauthz``."""
    return "/".join(module.split(".")[1:-1])
