"""So many in a second, whatever the clock's steps."""

from ott_extauthz.observe.allowance import Allowance
from tests.fakes.clock import FakeClock


def test_a_flood_gets_so_many_and_as_many_with_each_second() -> None:
    clock = FakeClock()
    allowance = Allowance(10, clock.monotonic)
    assert sum(allowance.takes() for _ in range(1000)) == 10
    clock.advance(500)
    assert sum(allowance.takes() for _ in range(1000)) == 5
    clock.advance(3_600_000)
    assert sum(allowance.takes() for _ in range(1000)) == 10, "a quiet hour saves nothing up"
