import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from ott_extauthz.stores.remotekeys.keys import Look, RemoteKey
from ott_extauthz.stores.remotekeys.versions import Overlap, look_at

PUBLISH, RETIRE = 1000, 500
PUBLIC = ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32).public_key()


def at(now_ms: int, *made_ms: int, least_signing: int = 1, first: int = 1) -> tuple[str, dict[str, str]] | None:
    """Return which version signs and the published ones' states, for versions made (and seen) at these instants."""
    versions = {number: RemoteKey(str(number), PUBLIC, made) for number, made in enumerate(made_ms, first)}
    look: Look | None = look_at(
        versions,
        seen_ms={number: key.made_ms for number, key in versions.items()},
        least_signing=least_signing,
        overlap=Overlap(publish_before_ms=PUBLISH, retire_after_ms=RETIRE),
        now_ms=now_ms,
    )
    return (
        None if look is None else (look.active.reference, {key.reference: str(state) for key, state in look.published})
    )


def test_the_only_version_signs_however_new_it_is() -> None:
    assert at(0, 0) == ("1", {"1": "active"})


@pytest.mark.parametrize(
    ("now_ms", "active", "states"),
    [
        (5000, "1", {"1": "active", "2": "next"}),
        (5999, "1", {"1": "active", "2": "next"}),
        (6000, "2", {"1": "retiring", "2": "active"}),
        (6499, "2", {"1": "retiring", "2": "active"}),
        (6500, "2", {"2": "active"}),
    ],
)
def test_a_new_version_is_published_before_it_signs_and_the_old_one_until_its_tokens_died(
    now_ms: int, active: str, states: dict[str, str]
) -> None:
    assert at(now_ms, 0, 5000) == (active, states)


def test_of_two_rotations_in_a_row_none_is_signed_with_unpublished_nor_forgotten_early() -> None:
    made = (0, 5000, 5400)
    assert at(6200, *made) == ("2", {"1": "retiring", "2": "active", "3": "next"})
    assert at(6450, *made) == ("3", {"1": "retiring", "2": "retiring", "3": "active"})
    assert at(6600, *made) == ("3", {"2": "retiring", "3": "active"})
    assert at(7000, *made) == ("3", {"3": "active"})


def test_the_owner_may_force_a_version_to_sign_before_its_time_and_the_old_one_is_still_published() -> None:
    assert at(5001, 0, 5000, least_signing=2) == ("2", {"1": "retiring", "2": "active"})


def test_a_floor_above_every_version_is_no_ring() -> None:
    assert at(5001, 0, 5000, least_signing=3) is None
