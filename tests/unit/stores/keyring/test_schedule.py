"""The states of a key, by the time alone: published before use, kept until the last token died."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ott_extauthz.issuer.key_change import KeyState
from ott_extauthz.stores.keyring.ring_file import Keys, RingKey, instant
from ott_extauthz.stores.keyring.schedule import (
    REMEMBERED_RETIRED,
    Rotation,
    activated,
    active_of,
    due_ms,
    next_of,
    published,
    retired,
    turned,
    wants_next,
)  # fmt: skip

NOW = 1_790_000_000_000
ROTATION = Rotation(every_ms=100_000, publish_before_ms=10_000, retire_after_ms=20_000)


def key(number: int, state: KeyState, since_ms: int) -> RingKey:
    return RingKey(f"{number:043d}", "EdDSA", state, instant(since_ms), instant(since_ms))


def states(keys: Keys) -> list[str]:
    return [each.state.value for each in keys]


def test_an_old_ring_without_since_has_been_active_from_its_making() -> None:
    assert RingKey("k" * 43, "EdDSA", KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC)).since_ms == 1_767_225_600_000


@pytest.mark.parametrize("after_ms", [0, 9_999])
def test_a_next_key_signs_nothing_before_verifiers_had_time_to_read_it(after_ms: int) -> None:
    keys = (key(1, KeyState.ACTIVE, NOW - 1), key(2, KeyState.NEXT, NOW))
    assert turned(keys, ROTATION, NOW + after_ms) == keys


def test_a_next_key_signs_when_it_is_due_and_the_old_one_retires_only_later() -> None:
    keys = turned((key(1, KeyState.ACTIVE, NOW - 1), key(2, KeyState.NEXT, NOW)), ROTATION, NOW + 10_000)
    assert states(keys) == ["retiring", "active"]
    assert states(turned(keys, ROTATION, NOW + 29_999)) == ["retiring", "active"]
    assert states(turned(keys, ROTATION, NOW + 30_000)) == ["retired", "active"]


def test_a_key_that_was_late_is_still_kept_for_its_whole_time() -> None:
    """An issuer that was down for a day activates the next key now; the old one signed until now."""
    keys = (key(1, KeyState.ACTIVE, NOW), key(2, KeyState.NEXT, NOW))
    assert states(turned(keys, ROTATION, NOW + 86_400_000)) == ["retiring", "active"]


@pytest.mark.parametrize(("after_ms", "wants"), [(89_999, False), (90_000, True), (10**9, True)])
def test_the_schedule_publishes_so_early_that_the_rotation_is_on_time(after_ms: int, *, wants: bool) -> None:
    assert wants_next((key(1, KeyState.ACTIVE, NOW),), ROTATION, NOW + after_ms) is wants


def test_no_second_next_key_is_wanted_and_none_without_a_schedule() -> None:
    keys = (key(1, KeyState.ACTIVE, NOW), key(2, KeyState.NEXT, NOW))
    assert not wants_next(keys, ROTATION, NOW + 10**9)
    assert not wants_next(keys[:1], Rotation(every_ms=0), NOW + 10**12)


def test_a_clock_that_went_back_turns_nothing() -> None:
    keys = (key(1, KeyState.RETIRING, NOW), key(2, KeyState.ACTIVE, NOW), key(3, KeyState.NEXT, NOW))
    assert turned(keys, ROTATION, NOW - 10**9) == keys


def test_many_retired_keys_are_forgotten_oldest_first() -> None:
    keys: Keys = (key(0, KeyState.ACTIVE, NOW),)
    for number in range(1, 60):
        keys = (*keys, key(number, KeyState.RETIRING, NOW + number))
        keys = retired(keys, f"{number:043d}", NOW + number)
    assert states(keys).count("retired") == REMEMBERED_RETIRED
    assert f"{59:043d}" in {each.kid for each in keys}


def test_what_is_published_is_what_is_not_retired() -> None:
    keys = tuple(key(number, state, NOW) for number, state in enumerate(KeyState))
    assert states(published(keys)) == ["next", "active", "retiring"]
    assert [due_ms(each, ROTATION) for each in keys] == [NOW + 10_000, NOW + 100_000, NOW + 20_000, None]


@given(st.lists(st.integers(1, 60_000), max_size=60))
def test_whatever_the_times_of_looking_one_key_is_active_and_none_signs_unpublished_or_goes_too_early(
    pauses: list[int],
) -> None:
    keys: Keys = (key(0, KeyState.ACTIVE, NOW),)
    now, next_since, retiring_since = NOW, dict[str, int](), dict[str, int]()
    for number, pause in enumerate(pauses, 1):
        now += pause
        before = keys
        keys = turned(keys, ROTATION, now)
        if wants_next(keys, ROTATION, now):
            keys = (*keys, key(number, KeyState.NEXT, now))
            next_since[f"{number:043d}"] = now
        active = active_of(keys).kid
        assert states(keys).count("active") == 1
        if active != active_of(before).kid:
            assert now - next_since[active] >= ROTATION.publish_before_ms
            retiring_since[active_of(before).kid] = now
        for each in keys:
            if each.state is KeyState.RETIRED and each not in before:
                assert now - retiring_since[each.kid] >= ROTATION.retire_after_ms
        assert turned(keys, ROTATION, now) == keys, "the same step twice changes nothing"


def test_activation_leaves_one_next_key_fewer() -> None:
    keys = (key(1, KeyState.ACTIVE, NOW), key(2, KeyState.NEXT, NOW))
    assert next_of(activated(keys, keys[1].kid, NOW)) is None
