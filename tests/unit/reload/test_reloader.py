"""One thread looks: bursts are one look, faults do not end it, and no reload runs beside another."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ott_extauthz.reload.manners import TURN_SECONDS
from ott_extauthz.reload.reloader import Reloader
from tests.unit.reload.test_source import File, swap


@contextmanager
def running(file: File, *, every: float | None, faults: list[str]) -> Iterator[Reloader]:
    reloader = Reloader([file.source], every=every, on_fault=faults.append)
    reloader.start()
    try:
        yield reloader
    finally:
        reloader.stop()
        reloader._thread.join(60)
        assert not reloader._thread.is_alive()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "policy.yaml")


def test_a_changed_file_comes_into_force_by_itself(file: File) -> None:
    with running(file, every=0.01, faults=[]):
        file.path.write_text("two\n")
        until(lambda: file.source.current() == "two\n")


def test_a_storm_of_questions_is_few_loads_and_never_two_at_once(file: File) -> None:
    inside, most, intervals = 0, 0, set[float]()
    number = iter(range(10_000))

    def load() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        intervals.add(round(sys.getswitchinterval(), 5))
        time.sleep(0.05)
        inside -= 1

    file.while_loading = load
    with running(file, every=None, faults=[]) as reloader:
        for _ in range(500):
            file.path.write_text(f"{next(number)}\n")
            threading.Thread(target=reloader.ask).start()
        until(lambda: file.source.current() == "499\n")
    assert most == 1
    assert file.loads < 400
    assert intervals == {TURN_SECONDS}


def test_without_an_interval_only_who_asks_is_answered(file: File) -> None:
    with running(file, every=None, faults=[]) as reloader:
        file.path.write_text("two\n")
        time.sleep(0.1)
        assert file.source.current() == "one\n"
        reloader.ask()
        until(lambda: file.source.current() == "two\n")


def test_a_fault_does_not_end_the_looking(file: File) -> None:
    faults: list[str] = []
    good = file.source.files
    with running(file, every=0.01, faults=faults):
        file.source.files = lambda: 1 // 0  # type: ignore[assignment,return-value]
        until(lambda: "ZeroDivisionError" in faults)
        file.source.files = good
        file.path.write_text("two\n")
        until(lambda: file.source.current() == "two\n")


def test_a_file_that_never_stands_still_is_given_up(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ott_extauthz.reload.reloader.TRY_AGAIN_SECONDS", 0.001)
    faults: list[str] = []
    number = iter(range(10_000))
    file.while_loading = lambda: file.path.write_text(f"{next(number)}\n")
    file.path.write_text("two\n")
    with running(file, every=None, faults=faults) as reloader:
        reloader.ask()
        until(lambda: faults == ["FileKeepsChanging"])
    assert file.source.current() == "one\n"


def test_a_question_in_the_very_moment_the_last_one_is_answered_is_heard(file: File) -> None:
    """A SIGHUP comes between two bytecodes of the thread that looks whether there was one."""

    class Asked(Reloader):
        """Is asked while it reads whether it was."""

        taken = 0

        @property
        def _is_asked(self) -> bool:
            seen, self.taken = self.__dict__.get("asked", False), self.taken + 1
            if self.taken == 1:
                self.ask()
            return bool(seen)

        @_is_asked.setter
        def _is_asked(self, value: bool) -> None:
            self.__dict__["asked"] = value

    reloader = Asked([file.source], every=None, on_fault=lambda _: None)
    swap(file.path, "two")  # a look alone would wait for its end
    reloader.start()
    try:
        reloader._wake.set()  # a look for another reason
        until(lambda: file.source.current() == "two")
    finally:
        reloader.stop()
