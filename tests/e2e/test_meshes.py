"""Behind Istio and Envoy Gateway, as their control planes configure Envoy, and with the chart's patches.

Neither of the two runs here: a real Envoy does, with the configuration that their source says they would send it.
"""

import pytest

from tests.e2e import policies
from tests.e2e.calling import Header
from tests.e2e.conftest import rigs
from tests.e2e.rig import Answer, Rig
from tests.e2e.servers import wait_until
from tests.e2e.test_signed_requests import event, send, signed

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("rig", rigs("memory"), indirect=True, scope="session")]

PASSED = (200, None)
REPLAYED = (401, "token_replayed")
STOLEN = (401, "certificate_mismatch")
WORKLOAD = (401, "workload_mismatch")
NOT_BINARY_SAFE = (400, "body_not_binary_safe")
PLAIN = ["istio-gateway", "istio-sidecar", "istio-edge-plain", "envoy-gateway"]
PATCHED = ["istio-gateway-patched", "istio-sidecar-patched", "istio-edge-patched", "envoy-gateway-patched"]
SHAPES = PLAIN + PATCHED


def forged(rig: Rig) -> list[Header]:
    """An XFCC header by which the thief claims to be rgs, behind the gateway."""
    victim = f"Hash={rig.identities['rgs'].thumbprint.hex()};URI={policies.RGS}"
    gateway = f"By={policies.GATEWAY};Hash={rig.identities['gateway'].thumbprint.hex()};URI={policies.GATEWAY}"
    return [("x-forwarded-client-cert", f"{victim},{gateway}")]


@pytest.mark.parametrize("listener", SHAPES)
def test_a_token_passes_once_and_the_upstream_sees_our_identity_only(rig: Rig, listener: str) -> None:
    token = rig.good()
    spoofed: list[Header] = [("x-ott-subject", "admin"), ("x-ott-role", "root"), ("x-ott-role", "root")]
    answer = rig.call(listener=listener, token=token, headers=spoofed)
    assert answer.outcome == PASSED
    assert answer.delivery.all("x-ott-subject") == ["player-4711"]
    assert not {"x-ott", "x-ott-role"} & answer.delivery.names
    assert rig.call(listener=listener, token=token).outcome == REPLAYED


@pytest.mark.parametrize("listener", SHAPES)
def test_a_stolen_token_is_refused_whatever_header_the_thief_puts_in_front(rig: Rig, listener: str) -> None:
    token = rig.good()
    assert rig.call(listener=listener, token=token, caller="thief").outcome == STOLEN
    answer = rig.call(listener=listener, token=token, caller="thief", headers=forged(rig))
    # At a sidecar that callers reach directly three elements arrive, and the last one is the thief's.
    assert answer.outcome == STOLEN
    assert answer.deliveries == []
    assert rig.call(listener=listener, token=token).outcome == PASSED


@pytest.mark.parametrize("listener", SHAPES)
def test_two_credentials_are_refused_and_two_cookies_are_none(rig: Rig, listener: str) -> None:
    """Without ``encode_raw_headers`` they arrive joined by a comma, the token as well as the cookies."""
    token = rig.good()
    doubled: list[Header] = [("x-ott", rig.good())]
    assert rig.call(listener=listener, token=token, headers=doubled).outcome == (400, "credential_duplicated")
    cookies: list[Header] = [("cookie", "a=1"), ("cookie", "b=2"), ("x-note", b"\xff\xfe")]
    assert rig.call(listener=listener, token=token, headers=cookies).outcome == PASSED


@pytest.mark.parametrize(
    ("listener", "status"),
    [
        ("istio-gateway-down", 503),  # statusOnError of the provider
        ("istio-sidecar-down", 503),
        ("istio-gateway-patched-down", 503),
        ("istio-sidecar-patched-down", 503),
        ("envoy-gateway-down", 403),  # Envoy's own default, where Envoy Gateway does not say
        ("envoy-gateway-patched-down", 503),
    ],
)
def test_with_the_server_down_nobody_passes(rig: Rig, listener: str, status: int) -> None:
    answer = rig.call(listener=listener, token=rig.good())
    assert (answer.status, answer.deliveries) == (status, [])


# --- the limits of each shape, documented by being shown


def test_istio_checks_what_the_rules_cover_and_nothing_else(rig: Rig) -> None:
    """A policy with ``paths: [/v1/*]``: what lies outside arrives unchecked, with the client's own identity headers."""
    spoofed: list[Header] = [("x-ott-subject", "admin")]
    for listener in ("istio-sidecar", "istio-sidecar-patched"):
        answer = rig.call(listener=listener, method="GET", target="/open", headers=spoofed)
        assert answer.status == 200
        assert answer.delivery.header("x-ott-subject") == "admin"
        assert rig.call(listener=listener, target="/v1/../v1/wallets/w-17/debit").status == 401


def test_a_route_of_its_own_filter_settings_is_checked_too(rig: Rig) -> None:
    """Newer Envoy Gateways name the server, and the policy's route, in each route."""
    for listener in ("envoy-gateway", "envoy-gateway-patched"):
        answer = rig.call(listener=listener, target="/v1/wallets/newer/debit", token=rig.good())
        assert answer.outcome == PASSED
        assert rig.call(listener=listener, target="/v1/wallets/newer/debit").outcome == (401, "credential_missing")


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ("istio-gateway", PASSED),  # packAsBytes of the provider
        ("istio-gateway-patched", PASSED),
        ("envoy-gateway", NOT_BINARY_SAFE),
        ("envoy-gateway-patched", PASSED),
    ],
)
def test_a_signed_binary_body(rig: Rig, listener: str, expected: tuple[int, str | None]) -> None:
    def answered(body: bytes) -> Answer:
        return send(rig, signed(body), body, listener=listener)

    # A fresh used-list refuses what could have been signed before it was there.
    wait_until(lambda: answered(event()).status == 200, lambda: "no webhook is let in", 60)
    assert answered(bytes(range(256))).outcome == expected


def workload_token(rig: Rig) -> str:
    return rig.good(sub=policies.RGS, cnf=None)


def test_a_workload_is_known_by_the_certificate_of_its_own_sidecar(rig: Rig) -> None:
    """``bound_to: [workload]`` needs no certificate in the Check: Envoy names the peer even without it."""
    token = workload_token(rig)
    assert rig.call(listener="istio-workload", target="/v1/workload", token=token, caller="thief").outcome == WORKLOAD
    assert rig.call(listener="istio-workload", target="/v1/workload", token=token).outcome == PASSED
    assert rig.call(listener="istio-workload", target="/v1/workload", token=token).outcome == REPLAYED


@pytest.mark.parametrize("listener", ["istio-edge-plain", "istio-edge-patched"])
def test_behind_a_gateway_the_workload_is_the_gateway(rig: Rig, listener: str) -> None:
    assert rig.call(listener=listener, target="/v1/workload", token=workload_token(rig)).outcome == WORKLOAD


def test_plain_istio_sends_no_certificate_of_the_connection(rig: Rig) -> None:
    """``client_certificate.source: peer`` fits the patched shape only; with the plain one bound tokens are refused."""
    assert rig.call(listener="istio-workload", token=rig.good()).outcome == (401, "certificate_missing")


def test_trust_domains_need_the_certificate_that_plain_istio_does_not_send(rig: Rig) -> None:
    answer = rig.call(listener="istio-sidecar", target="/v1/workload", token=workload_token(rig))
    assert answer.outcome == (401, "trust_domain_unproven")


def test_a_caller_that_skips_the_gateway_is_no_gateway(rig: Rig) -> None:
    """Straight to the sidecar, with elements forged in front: the last one is the thief's own."""
    [(name, both)] = forged(rig)
    for value in (both, str(both).partition(",")[0]):
        answer = rig.call(listener="istio-direct", token=rig.good(), caller="thief", headers=[(name, value)])
        assert answer.outcome == (401, "certificate_hop_untrusted")
    assert rig.call(listener="istio-direct", token=rig.good()).outcome == (401, "certificate_hop_untrusted")
