"""What the issuer logs: constant messages, closed fields."""

import json

import pytest

from ott_extauthz.issuer.oauth_error import OAuthErrorCode
from ott_extauthz.observe.issuer_log import IssuerLog
from ott_extauthz.observe.log import new_logger


def test_refusals_and_faults_are_lines_and_issued_tokens_only_for_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    for level in ("info", "debug"):
        log = IssuerLog(new_logger(level))
        log.issued("rgs", "wallet.api", 256, trace_id="1" * 32)
        log.refused(None, OAuthErrorCode.INVALID_CLIENT, trace_id="1" * 32)
        log.authentication_failed("rgs", is_limited=False, trace_id="1" * 32)
        log.faulted("RuntimeError")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    for line in lines:
        line.pop("timestamp")
    of = {"trace_id": "1" * 32}
    refused = of | {"event": "token refused", "level": "info", "client_id": None, "error": "invalid_client"}
    failed = of | {"event": "client authentication failed", "level": "warning", "claimed_client_id": "rgs"}
    fault = {"event": "internal error", "level": "error", "type": "RuntimeError"}
    issued = {"event": "token issued", "level": "debug", "client_id": "rgs", "audience": "wallet.api", "count": 256}
    assert lines == [refused, failed, fault, of | issued, refused, failed, fault]
