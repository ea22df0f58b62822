"""Failures are counted for whom they belong to, in bounded memory, and forgotten in time."""

from typing import Any

from ott_extauthz.issuer.attempt import Attempt, Mechanism
from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.failures import FailureLimits, failure_key
from ott_extauthz.issuer.request import TokenRequest
from ott_extauthz.model.facts import Thumbprint

CLIENT = clients_from(
    "clients: [{client_id: rgs, authentication: tls_client_auth, certificate: {dns: a.example}, "
    "audiences: {wallet.api: {scopes: [a]}}}]",
    "clients.yaml",
)["rgs"]


def limits(**changes: Any) -> FailureLimits:
    return FailureLimits(**({"most": 3, "window_ms": 1000} | changes))


def test_the_last_failure_within_the_window_makes_wait_until_its_end() -> None:
    counted = limits()
    for now_ms in (0, 100, 200):
        assert counted.wait_ms(b"a", now_ms) is None
        counted.failed(b"a", now_ms)
    assert counted.wait_ms(b"a", 200) == 800
    assert counted.wait_ms(b"a", 999) == 1
    assert counted.wait_ms(b"a", 1000) is None
    assert counted.wait_ms(b"b", 200) is None


def test_failures_of_an_earlier_window_do_not_count() -> None:
    counted = limits()
    for now_ms in (0, 1, 1000, 1001):
        counted.failed(b"a", now_ms)
    assert counted.wait_ms(b"a", 1001) is None


def test_memory_is_bounded_and_who_fails_often_is_kept() -> None:
    counted = limits(capacity=10)
    for number in range(1000):
        counted.failed(b"often", 0)
        counted.failed(b"%d" % number, 0)
    assert len(counted._counts) == 10
    assert counted.wait_ms(b"often", 0) == 1000


def test_a_clock_that_jumps_back_locks_nobody_out_for_long() -> None:
    counted = limits(most=1)
    counted.failed(b"a", 3_600_000)
    assert counted.wait_ms(b"a", 0) is None


def key(shown: bytes | None = None, address: str | None = "192.0.2.1", **changes: Any) -> bytes:
    certificate = shown and PresentedCertificate(
        sha256=Thumbprint(shown * 32), uris=(), dns=(), subject_dn="", not_after_ms=1
    )
    request = TokenRequest(form={}, certificate=certificate or None, address=address, now_ms=0)
    values: dict[str, Any] = {"mechanism": Mechanism.CERTIFICATE, "client_id": "rgs", "client": CLIENT} | changes
    client = values.pop("client")
    return failure_key(Attempt(**values), client, request)


def test_what_counts_apart() -> None:
    different = [
        key(b"a"),
        key(b"b"),
        key(),
        key(address="192.0.2.2"),
        key(address=None),
        key(b"a", client=None),
        key(client=None),
        key(mechanism=Mechanism.SECRET),
        key(mechanism=Mechanism.ASSERTION),
    ]
    assert len(set(different)) == len(different)
    assert {len(each) for each in different} == {32}


def test_what_counts_together() -> None:
    assert key(b"a", address="192.0.2.2") == key(b"a")  # a certificate is the same from everywhere
    assert key(client=None, client_id="x" * 16_000) == key(client=None, client_id=None)
