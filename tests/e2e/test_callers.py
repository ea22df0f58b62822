"""Callers that come in by their certificate alone, and those whose own trust domain never signed it."""

import pytest

from tests.e2e import policies
from tests.e2e.rig import Rig

pytestmark = pytest.mark.e2e

ROUTE = "/v1/by-certificate"
PASSED = (200, None)
FORGED = [("x-forwarded-client-cert", f"Hash={'0' * 64};URI={policies.RGS}")]


def test_a_listed_certificate_is_enough(rig: Rig) -> None:
    answer = rig.call(target=ROUTE)
    assert answer.outcome == PASSED
    assert answer.delivery.all("x-ott-subject") == [policies.RGS]
    assert rig.call(target=ROUTE).outcome == PASSED, "it is no token: nothing was spent"


def test_others_are_denied_whatever_they_claim(rig: Rig) -> None:
    assert rig.call(target=ROUTE, caller="thief").outcome == (403, "certificate_denied")
    assert rig.call(target=ROUTE, caller="thief", headers=FORGED).outcome == (403, "certificate_denied")
    assert rig.call(target=ROUTE, caller="smuggler").status in (401, 403)
    assert rig.call(listener="bare", target=ROUTE, caller=None).outcome == (401, "certificate_missing")


def test_behind_a_proxy_the_caller_is_not_the_proxy(rig: Rig) -> None:
    """Only a whole certificate names the caller; a hash, or the proxy's own principal, does not."""
    assert rig.call(listener="edge-whole", target=ROUTE).outcome == PASSED
    assert rig.call(listener="edge-whole", target="/v1/by-gateway").outcome == (403, "certificate_denied")
    assert rig.call(listener="edge-hops", target=ROUTE).outcome == (403, "certificate_denied")
    assert rig.call(listener="edge-whole", target=ROUTE, caller="thief").outcome == (403, "certificate_denied")


def test_a_partners_authority_signs_for_the_partner_alone(rig: Rig) -> None:
    """Envoy takes both certificates: its authorities are one list."""
    federated, unproven = "xfcc-SANITIZE_SET", (401, "trust_domain_unproven")
    assert rig.call(target=ROUTE, caller="forger").outcome == PASSED, "without trust domains nothing tells them apart"
    for listener in (federated, "edge-whole"):
        assert rig.call(listener=listener, target=ROUTE, caller="psp").outcome == PASSED
        assert rig.call(listener=listener, target=ROUTE, caller="forger").outcome == unproven
    token = rig.good(sub=policies.RGS, cnf=None)
    assert rig.call(listener=federated, target="/v1/workload", token=token, caller="forger").outcome == unproven
    assert rig.call(listener=federated, target="/v1/workload", token=token).outcome == PASSED
