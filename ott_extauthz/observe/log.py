"""What is logged?  JSON lines on standard error: constant messages, what varies in fields; never a secret."""

import logging
import sys
from typing import Literal

import structlog

from ott_extauthz.model.decision import Deny
from ott_extauthz.model.facts import Facts
from ott_extauthz.observe.audit import first_fields, shadow_fields
from ott_extauthz.ports import CheckRecord, ShadowRecord, StoreHealth, UsedListFault

Logger = structlog.typing.FilteringBoundLogger


def new_logger(level: Literal["debug", "info", "warning", "error"]) -> Logger:
    """Return a logger that writes JSON lines to standard error."""
    logger: Logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
    )
    return logger


def tell_store(logger: Logger, health: StoreHealth) -> None:
    """Log how a store does; said when it becomes ready, and when it no longer is."""
    if not health.ready:
        logger.warning("store not ready", detail=health.detail)
    elif health.warnings:
        logger.warning("store ready, but", detail=health.detail, warnings=health.warnings)
    else:
        logger.info("store ready", detail=health.detail)


class DecisionLog:
    """Logs refusals and faults; allows are in the audit and the metrics."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def decided(self, record: CheckRecord) -> None:
        """Log a refusal."""
        decision = record.decision
        if not isinstance(decision, Deny):
            return
        self._logger.info(
            "check refused",
            decision_id=decision.decision_id,
            reason=decision.reason,
            code=decision.meaning.code,
            route=decision.route,
            host=record.host,
            path=record.path,
            client_id=decision.token.client_id if decision.token else None,
            token_id=decision.token.public_id if decision.token else None,
        )

    def replayed(self, record: CheckRecord) -> None:
        """Log a second use as the alarm it is: who tried, and who spent it first."""
        decision, facts = record.decision, record.facts
        if not isinstance(decision, Deny):
            return
        self._logger.warning(
            "token replayed",
            reason=decision.reason,
            decision_id=decision.decision_id,
            token_id=decision.token.public_id if decision.token else None,
            client_id=decision.token.client_id if decision.token else None,
            peer_principal=facts.peer.principal if isinstance(facts, Facts) else None,
            peer_address=facts.peer.address if isinstance(facts, Facts) else None,
            **(first_fields(decision.first) if decision.first else {}),
        )

    def shadowed(self, record: ShadowRecord) -> None:
        """Log where a second policy disagrees, for whoever asked for debug lines."""
        if record.disagrees:
            self._logger.debug(
                "shadow policy disagrees", decision_id=record.answer.decision_id, host=record.host, path=record.path,
                **shadow_fields(record.would_be),
            )  # fmt: skip

    def shadow_skipped(self) -> None:
        """Say nothing: the counter has it."""

    def faulted(self, error_type: str) -> None:
        """Log a fault of ours by type; its message may quote what a client sent."""
        self._logger.error("internal error", type=error_type)

    def spend_took(self, seconds: float) -> None:
        """Say nothing: the histogram has it."""

    def store_failed(self, fault: UsedListFault) -> None:
        """Log a broken used-list."""
        self._logger.warning("used-list failed", kind=fault)
