"""Tokens bound to the caller's certificate: the thief's connection, resumed sessions, connections without one."""

import ssl

import pytest

from ott_extauthz.demo.calling import read_reply
from tests.e2e import policies
from tests.e2e.calling import connection, request
from tests.e2e.rig import DEBIT, Rig

pytestmark = pytest.mark.e2e


def test_a_stolen_token_is_worthless_with_another_certificate(rig: Rig) -> None:
    answer = rig.call(token=rig.good(), caller="thief")
    assert answer.outcome == (401, "certificate_mismatch")
    assert answer.deliveries == []
    assert 'error="invalid_token"' in (answer.reply.header("www-authenticate") or "")


def test_the_shipped_listener_takes_no_connection_without_a_certificate(rig: Rig) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        rig.call(token=rig.good(), caller=None)


def test_without_a_client_certificate_a_bound_token_is_refused(rig: Rig) -> None:
    answer = rig.call(listener="bare", token=rig.good(), caller=None)
    assert answer.outcome == (401, "certificate_missing")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def test_the_binding_holds_on_a_resumed_session(rig: Rig, version: ssl.TLSVersion) -> None:
    """CVE-2022-21654 class: the certificate was shown on the first connection only, and still counts on the second."""
    context = rig.callers["rgs"].context_for(version)
    port = rig.ports["shipped"]

    def debit(token: str) -> bytes:
        return request("POST", DEBIT, [("host", "wallet.api"), ("x-ott", token)])

    with connection(port, context) as first:
        assert isinstance(first, ssl.SSLSocket)
        first.sendall(debit(rig.good()))
        assert read_reply(first, "POST").status == 200
        session = first.session
    with connection(port, context, session) as second:
        assert isinstance(second, ssl.SSLSocket)
        assert second.session_reused
        second.sendall(debit(rig.good()))
        assert read_reply(second, "POST").status == 200
        second.sendall(debit(rig.good(cnf={"x5t#S256": rig.identities["thief"].x5t_s256})))
        assert read_reply(second, "POST").reason == "certificate_mismatch"


def test_several_calls_on_one_connection_are_several_checks(rig: Rig) -> None:
    token = rig.good()
    raw = request("POST", DEBIT, [("host", "wallet.api"), ("x-ott", token)])
    with connection(rig.ports["shipped"], rig.callers["rgs"].context) as opened:
        opened.sendall(raw + raw)  # pipelined: the second is sent before the first is answered
        statuses = [read_reply(opened, "POST").status for _ in range(2)]
    assert statuses == [200, 401]


def test_an_envoy_that_sends_no_certificate_gets_bound_tokens_refused(rig: Rig) -> None:
    """``include_peer_certificate`` forgotten: XFCC may be there, but ``source: peer`` does not believe headers."""
    assert rig.call(listener="no-peer", token=rig.good()).outcome == (401, "certificate_missing")


@pytest.mark.parametrize("listener", ["shipped", "no-peer"])
def test_workload_binding_needs_no_certificate_in_the_check(rig: Rig, listener: str) -> None:
    """Where the mesh keeps the certificate to itself, ``source.principal`` still says who was verified."""
    token = rig.good(sub=policies.RGS, cnf=None)
    assert rig.call(listener=listener, token=token, target="/v1/workload").status == 200


def test_workload_binding_refuses_another_workload(rig: Rig) -> None:
    token = rig.good(sub=policies.RGS, cnf=None)
    assert rig.call(token=token, target="/v1/workload", caller="thief").outcome == (401, "workload_mismatch")
    assert rig.call(token=token, target="/v1/workload").status == 200


def test_workload_binding_refuses_a_connection_without_identity(rig: Rig) -> None:
    token = rig.good(sub=policies.RGS, cnf=None)
    answer = rig.call(listener="bare", token=token, target="/v1/workload", caller=None)
    assert answer.outcome == (401, "workload_mismatch")


def test_a_workload_name_in_sub_does_not_help_without_the_workload(rig: Rig) -> None:
    token = rig.good(sub=policies.RGS)  # bound to the certificate as well: both must hold
    assert rig.call(token=token, target="/v1/workload", caller="thief").outcome == (401, "certificate_mismatch")
