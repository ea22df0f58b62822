"""kill -9 at every file operation of every step: what is left is a usable ring, and the next run completes the step.

One process forks a child for each operation; the child sends itself SIGKILL right before it.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ott_extauthz.authn.jwks import keys_from
from ott_extauthz.stores.keyring import (
    Keys,
    Place,
    Rotation,
    advance,
    init_ring,
    load_ring,
    retire,
    rotate,
)  # fmt: skip

NOW = 1_790_000_000_000
ROTATION = Rotation(every_ms=100_000, publish_before_ms=10_000, retire_after_ms=20_000)
_NOTHING_DUE = Rotation(publish_before_ms=10**9, retire_after_ms=10**9)

_KILLED_EVERYWHERE = """
import json, os, pathlib, shutil, signal, sys
from tests.unit.stores.keyring.test_crashes import STEPS, place_in

def killed_before(number, step, place):
    done = 0
    def count(*_):
        nonlocal done
        done += 1
        if done == number:
            os.kill(os.getpid(), signal.SIGKILL)
    def counted(function):
        def call(*arguments, **options):
            count()
            return function(*arguments, **options)
        return call
    os.fchmod = counted(os.fchmod)
    os.fsync = count  # a kill loses nothing that was written; only a power cut does
    def audited(event, arguments):
        if event in ("os.mkdir", "os.rename", "os.remove") or (event == "open" and arguments[2] & os.O_ACCMODE):
            count()
    sys.addaudithook(audited)
    step(place)

before, step, results = pathlib.Path(sys.argv[1]), STEPS[sys.argv[2]], pathlib.Path(sys.argv[3])
number, status = 0, None
while status != 0:
    number += 1
    folder = results / str(number)
    folder.mkdir(parents=True)
    if before.exists():
        shutil.copytree(before, folder / "keys")
    child = os.fork()
    if child == 0:
        killed_before(number, step, place_in(folder))
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), status
print(json.dumps(number - 1))
"""


def place_in(folder: Path) -> Place:
    return Place(directory=folder / "keys")


def kid_of(place: Place, state: str) -> str:
    return next(key.kid for key in load_ring(place).keys if key.state == state)


def states(place: Place) -> list[str]:
    return [key.state.value for key in load_ring(place).keys]


def made(place: Place) -> object:
    return init_ring(place, now_ms=NOW)


def published(place: Place) -> Keys:
    return rotate(place, ROTATION, at_once=False, now_ms=NOW)


def activated(place: Place) -> Keys:
    return advance(place, ROTATION, now_ms=NOW + 10_000)


def retired(place: Place) -> Keys:
    return advance(place, ROTATION, now_ms=NOW + 30_000)


def scheduled(place: Place) -> Keys:
    return advance(place, ROTATION, now_ms=NOW + 90_000)


def at_once(place: Place) -> Keys:
    return rotate(place, ROTATION, at_once=True, now_ms=NOW)


def active_taken_out(place: Place) -> Keys:
    return retire(place, load_ring(place).keys[0].kid, now_ms=NOW)


def retiring_taken_out(place: Place) -> Keys:
    return retire(place, kid_of(place, "retiring"), now_ms=NOW + 10_000)


Step = Callable[[Place], object]
STEPS: dict[str, Step] = {
    step.__name__: step
    for step in (made, published, activated, retired, scheduled, at_once, active_taken_out, retiring_taken_out)
}  # fmt: skip
CASES: list[tuple[list[Step], Step, list[str], int]] = [
    ([], made, ["active"], 19),
    ([made], published, ["active", "next"], 15),
    ([made, published], activated, ["retiring", "active"], 5),
    ([made, published, activated], retired, ["retired", "active"], 12),
    ([made], scheduled, ["active", "next"], 15),
    ([made], at_once, ["retiring", "active"], 20),
    ([made, published], active_taken_out, ["retired", "active"], 12),
    ([made], active_taken_out, ["retired", "active"], 27),
    ([made, published, activated], retiring_taken_out, ["retired", "active"], 12),
]


@pytest.mark.parametrize(
    ("prepare", "step", "ends", "least"), CASES, ids=[f"{len(case[0])}-{case[1].__name__}" for case in CASES]
)
def test_killed_before_any_file_operation_the_ring_is_usable_and_the_next_run_completes_it(
    tmp_path: Path, prepare: list[Step], step: Step, ends: list[str], least: int
) -> None:
    for earlier in prepare:
        earlier(place_in(tmp_path / "before"))
    arguments = [str(tmp_path / "before" / "keys"), step.__name__, str(tmp_path / "killed")]
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED_EVERYWHERE, *arguments], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    operations = json.loads(ended.stdout)
    assert operations >= least, "or the kills did not come"
    for number in range(1, operations + 2):
        place = place_in(tmp_path / "killed" / str(number))
        usable(place, has_ring=bool(prepare))
        completed(place, step, ends)


def usable(place: Place, *, has_ring: bool) -> None:
    """Whoever starts or looks now, before anybody mended anything, signs, and every verifier knows the key."""
    if has_ring or place.ring.exists():
        loaded = load_ring(place)
        assert loaded.signer.kid in keys_from(place.jwks.read_bytes())
        assert {key.kid for key in loaded.keys if key.state != "retired"} <= keys_from(place.jwks.read_bytes()).keys()


def completed(place: Place, step: Step, ends: list[str]) -> None:
    """An issuer looks, which tidies up; an operator whose command died, and who sees no effect, gives it again."""
    if place.ring.exists():
        advance(place, _NOTHING_DUE, now_ms=NOW)
    if not place.ring.exists() or states(place) != ends:
        step(place)
        advance(place, _NOTHING_DUE, now_ms=NOW)
    loaded = load_ring(place)
    assert loaded.is_tidy
    names = {path.name for path in place.directory.iterdir()}
    kept = {key.kid for key in loaded.keys if key.state != "retired"}
    assert names == {"ring.json", "jwks.json", *(place.private(kid).name for kid in kept)}
    assert keys_from(place.jwks.read_bytes()).keys() == kept
    assert states(place) == ends


def test_the_children_see_what_the_test_thinks(tmp_path: Path) -> None:
    """A step that no child survives to take would make the test above pass for nothing."""
    made(place_in(tmp_path / "one"))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    published(place_in(tmp_path / "two"))
    assert load_ring(place_in(tmp_path / "one")).stamp != load_ring(place_in(tmp_path / "two")).stamp
