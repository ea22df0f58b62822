"""Every rule finds its fault and nothing else, and nothing is found in what we ship."""

import pytest

from ott_extauthz.envoy_lint import kubernetes
from ott_extauthz.envoy_lint.catalogue import ENVOY_RULES, RULES
from ott_extauthz.envoy_lint.expectations import Expectations
from tests.unit.envoy_lint.faults import FAULTS, Fault
from tests.unit.envoy_lint.shipped import edited, linted, shipped

CASES = [
    pytest.param(name, fault, id=f"{name}-{at}") for name, faults in FAULTS.items() for at, fault in enumerate(faults)
]
SHIPPED = ["envoy.yaml", "jwt-authn.yaml", "attach.yaml", "attach-retries.yaml", "demo.yaml"]

ALSO: dict[str, set[str]] = {
    "client-cert-header-forged": {"client-certificate-not-required"},
}


def test_every_rule_has_a_fault_and_every_fault_a_rule() -> None:
    assert FAULTS.keys() == {rule.name for rule in ENVOY_RULES}
    assert len(RULES) == len(ENVOY_RULES) + len(kubernetes.RULES)  # no name stands for two rules


@pytest.mark.parametrize(("name", "fault"), CASES)
def test_a_fault_is_found_and_it_alone(name: str, fault: Fault) -> None:
    found = linted(edited(fault.edit, base=fault.base), fault.expected, **fault.options)
    assert {each.rule.name for each in found} == {name} | ALSO.get(name, set())
    assert RULES[name].severity in {each.rule.severity for each in found}
    assert all(each.detail and each.place.path is not None for each in found)


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_is_found_in_what_we_ship(name: str) -> None:
    assert linted(shipped(name)) == []


def test_without_the_edit_nothing_is_found() -> None:
    """Under the same expectations, where it is the edit and not the expectation that is wrong."""
    looked_at = [("", Expectations())]
    for name, faults in FAULTS.items():
        for fault in faults:
            is_edited = edited(fault.edit, base=fault.base) != shipped(fault.base)
            if is_edited and (fault.base, fault.expected) not in looked_at:
                looked_at.append((fault.base, fault.expected))
                assert linted(shipped(fault.base), fault.expected) == [], name
    assert len(looked_at) > 5
