"""What a reservation covers, and what it does not, each with a real Envoy and the setting that makes it safe."""

from tests.e2e.rig import Rig


def test_two_filters_asking_about_one_request_are_one_spend(rig: Rig) -> None:
    """With ``reservation`` and ``from: {keep: true}``: the first filter spends, the second knows its own request."""
    token = rig.good()
    answer = rig.call(listener="two-filters", target="/v1/reserved", token=token)
    assert answer.status == 200
    assert len(answer.deliveries) == 1
    assert rig.call(listener="two-filters", target="/v1/reserved", token=token).outcome == (401, "token_replayed")
    assert rig.call(target="/v1/reserved", token=token).outcome == (401, "token_replayed")


def test_without_a_reservation_the_second_filter_finds_a_replay(rig: Rig) -> None:
    answer = rig.call(listener="two-filters", target="/v1/kept", token=rig.good())
    assert answer.outcome == (401, "token_replayed")
    assert answer.deliveries == []


def test_a_reservation_whose_first_filter_strips_the_token_leaves_nothing_to_recognise(rig: Rig) -> None:
    answer = rig.call(listener="two-filters", target="/v1/reserved-not-kept", token=rig.good())
    assert answer.outcome == (401, "credential_missing")
    assert answer.deliveries == []


def test_a_client_that_sends_again_is_a_replay_also_at_once(rig: Rig) -> None:
    """Another stream, even on the same connection and within the two seconds."""
    token = rig.good()
    assert rig.call(target="/v1/reserved", token=token).status == 200
    assert rig.call(target="/v1/reserved", token=token).outcome == (401, "token_replayed")


def test_a_kept_token_reaches_the_upstream_spent(rig: Rig) -> None:
    token = rig.good()
    delivery = rig.call(target="/v1/reserved", token=token).delivery
    assert delivery.all("x-ott") == [token]
    assert rig.call(target="/v1/kept", token=token).outcome == (401, "token_replayed")
