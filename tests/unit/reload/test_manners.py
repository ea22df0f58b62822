"""A long load leaves room, and leaves the process's settings as they were."""

import subprocess
import sys
import textwrap


def in_its_own_process(what: str) -> None:
    """The settings are the process's: another test's server that loads right now would be seen."""
    begin = "import gc, sys\nfrom ott_extauthz.reload.manners import MANY_OBJECTS, TURN_SECONDS, leaving_room\n"
    now = "def now():\n    return round(sys.getswitchinterval(), 5), gc.isenabled()\n"
    subprocess.run([sys.executable, "-c", begin + now + textwrap.dedent(what)], check=True, timeout=60)


def test_the_settings_come_back_however_the_load_ends() -> None:
    in_its_own_process("""
        try:
            with leaving_room():
                during = now()
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert during == (TURN_SECONDS, False), during
        assert now() == (0.005, True), now()
    """)


def test_the_settings_come_back_when_loads_overlap_and_the_first_one_ends_first() -> None:
    in_its_own_process("""
        first, second = leaving_room(), leaving_room()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert now() == (TURN_SECONDS, False), now()
        second.__exit__(None, None, None)
        assert now() == (0.005, True), now()
    """)


def test_a_big_load_is_left_out_of_later_collections_and_a_small_one_is_not() -> None:
    in_its_own_process("""
        frozen = gc.get_freeze_count()
        with leaving_room():
            few = [[] for _ in range(100)]
        assert gc.get_freeze_count() == frozen
        with leaving_room():
            many = [[] for _ in range(2 * MANY_OBJECTS)]
        assert gc.get_freeze_count() >= frozen + 2 * MANY_OBJECTS
    """)
