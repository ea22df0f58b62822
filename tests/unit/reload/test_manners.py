"""A long load leaves room, and leaves the process's settings as they were."""

import gc
import sys

import pytest

from ott_extauthz.reload.manners import MANY_OBJECTS, TURN_SECONDS, leaving_room


def test_the_settings_come_back_however_the_load_ends() -> None:
    before = (sys.getswitchinterval(), gc.isenabled())
    during = None

    def load() -> None:
        nonlocal during
        with leaving_room():
            during = (round(sys.getswitchinterval(), 5), gc.isenabled())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        load()
    assert during == (TURN_SECONDS, False)
    assert (sys.getswitchinterval(), gc.isenabled()) == before


def test_a_big_load_is_left_out_of_later_collections_and_a_small_one_is_not() -> None:
    try:
        frozen = gc.get_freeze_count()
        with leaving_room():
            few: list[list[int]] = [[] for _ in range(100)]
        assert gc.get_freeze_count() == frozen
        with leaving_room():
            many: list[list[int]] = [[] for _ in range(2 * MANY_OBJECTS)]
        assert gc.get_freeze_count() >= frozen + 2 * MANY_OBJECTS
        assert (len(few), len(many)) == (100, 2 * MANY_OBJECTS)
    finally:
        gc.unfreeze()
