"""Opaque access tokens through a real Envoy: the issuer's word counts, and without it nobody passes."""

from secrets import token_urlsafe
from typing import Any

import pytest

from tests.e2e.login import LOGIN
from tests.e2e.rig import Answer, Rig
from tests.e2e.servers import wait_until

pytestmark = pytest.mark.e2e

OPAQUE = "/v1/opaque"


def bring(rig: Rig, token: str, **call: Any) -> Answer:
    return rig.call(target=OPAQUE, headers=[("authorization", f"Bearer {token}")], **call)


def issued(rig: Rig, **members: Any) -> str:
    return rig.login.issue(token_urlsafe(), cnf={"x5t#S256": rig.identities["rgs"].x5t_s256}, **members)


def test_an_opaque_token_works_until_its_issuer_takes_it_back(rig: Rig) -> None:
    token = issued(rig)
    for _ in range(2):
        answer = bring(rig, token)
        assert answer.status == 200
        assert answer.delivery.header("x-ott-subject") == "player-7"
        assert answer.delivery.header("x-ott-client") == "rgs"
        assert answer.delivery.header("authorization") is None
    rig.login.revoke(token)
    answer = bring(rig, token)
    assert (answer.outcome, answer.deliveries) == ((401, "token_inactive"), [])
    assert "invalid_token" in str(answer.reply.header("www-authenticate"))


def test_a_stolen_or_foreign_or_narrow_token_is_refused(rig: Rig) -> None:
    assert bring(rig, issued(rig), caller="thief").outcome == (401, "certificate_mismatch")
    assert bring(rig, issued(rig, aud="ledger.api")).outcome == (401, "token_audience_mismatch")
    assert bring(rig, issued(rig, scope="wallet:read")).outcome == (403, "scope_missing")
    assert bring(rig, issued(rig, exp=1)).outcome[0] == 401
    asked = len(rig.login.asked)
    assert bring(rig, rig.good()).status == 401  # a JWT goes nowhere
    assert len(rig.login.asked) == asked


def test_while_its_issuer_is_down_nobody_passes_and_then_everybody_does(rig: Rig) -> None:
    token = issued(rig)
    rig.login.stop()
    try:
        answer = bring(rig, token)
        assert (answer.outcome, answer.deliveries) == ((503, "introspection_unavailable"), [])
        assert answer.reply.code == "UNAVAILABLE"
        assert answer.reply.header("retry-after") == "1"
        assert answer.reply.json["token_state"] == "unspent"
        assert token not in rig.checks["ott"].metrics()
        assert f'ott_introspections_total{{issuer="{LOGIN}",result="connect"}}' in rig.checks["ott"].metrics()
        assert rig.call(token=rig.good()).status == 200  # other routes mind not
    finally:
        rig.login.start()
    wait_until(lambda: bring(rig, token).status == 200, lambda: "the issuer is back")
    for name in ("ott.log", "access.log"):
        assert token not in (rig.folder / name).read_text(encoding="utf-8", errors="replace")
    assert token not in "".join(path.read_text() for path in (rig.folder / "audit-ott").rglob("*") if path.is_file())
