import re

import pytest

from ott_extauthz.drills.catalogue import DRILLS, UnknownDrillError, chosen
from ott_extauthz.drills.drill import Drill
from ott_extauthz.model.reason import Reason
from tests.alerts.rules import alerts
from tests.architecture.tables import metrics


def test_every_promised_drill_is_there_once() -> None:
    names = [drill.name for drill in DRILLS]
    assert len(set(names)) == len(names)
    assert {
        "expired", "signatures", "middle", "region", "retired-key", "store", "issuer-clock", "server-clock", "replica",
        "audit", "no-server", "policy",
    } == set(names)  # fmt: skip


def test_without_names_all_are_chosen_and_with_names_these_in_the_fixed_order() -> None:
    assert chosen([]) == DRILLS
    assert [drill.name for drill in chosen(["store", "expired"])] == ["expired", "store"]


def test_an_unknown_name_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownDrillError, match=r"no drill stroe; there are .*store"):
        chosen(["expired", "stroe"])


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_what_an_operator_shall_look_at_exists(drill: Drill) -> None:
    look = drill.look
    name = re.split(r"[{ ]", look.metric)[0]
    assert f"`{name}`" in metrics() or name.startswith("envoy_")
    named = re.findall(r'reason="(\w+)"', look.metric) + re.findall(r"reason (\w+)", look.log)
    assert set(named) <= {reason.value for reason in Reason}


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_every_alert_that_a_drill_names_is_shipped(drill: Drill) -> None:
    assert drill.look.alerts
    assert set(drill.look.alerts) <= set(alerts())
