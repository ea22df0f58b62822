"""What is logged?  JSON lines on standard error: constant messages, what varies in fields; never a secret."""

import logging
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

import structlog

from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.model.facts import Facts
from ott_extauthz.observe.allowance import Allowance
from ott_extauthz.observe.audit import first_fields, shadow_fields, token_of
from ott_extauthz.ports import CheckRecord, ShadowRecord, StoreHealth, UsedListFault

MOST_ALARMS: Final = 4096
"""Replays that are remembered, to tell a first one from one more."""

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


def tell_audit(logger: Logger, trouble: str | None) -> None:
    """Log that an audit stays in the file that was open, whatever its name is now; and that it does no longer."""
    if trouble is None:
        logger.info("audit file opened again")
    else:
        logger.error("audit file neither reopened nor rotated, the open one is written to", problem=trouble)


class LeftOut(StrEnum):
    """Lines that a flood of requests would otherwise write: the label of ``ott_log_lines_left_out_total``."""

    REFUSALS = "refusals"
    REPLAYS = "replays"


class DecisionLog:
    """Logs refusals, replays and faults; allows are in the audit and the metrics, and here for debugging.

    A client makes as many refusals as it likes: of both sorts only so many lines are written in a second, and
    ``on_left_out`` hears of each that is not.  What was left out is in the audit.  Beyond that number a replay is still
    told the first time that its token comes from its caller: a flood of one token's replays hides no other's.
    """

    def __init__(
        self,
        logger: Logger,
        *,
        room: Mapping[LeftOut, Allowance] = MappingProxyType({}),
        on_left_out: Callable[[LeftOut], None] = lambda _: None,
    ) -> None:
        self._logger = logger.bind()  # what it is made from makes another at each use, which costs more than a metric
        self._tells_allows = self._logger.is_enabled_for(logging.DEBUG)
        self._room = room
        self._on_left_out = on_left_out
        self._alarms: OrderedDict[tuple[object, ...], None] = OrderedDict()

    def decided(self, record: CheckRecord) -> None:
        """Log a refusal."""
        decision = record.decision
        if isinstance(decision, Allow):
            if self._tells_allows:
                self._logger.debug("check allowed", **_of(record))
        elif self._has_room(LeftOut.REFUSALS):
            self._logger.info(
                "check refused", **_of(record), reason=decision.reason, code=decision.meaning.code,
                host=record.host, path=record.path,
            )  # fmt: skip

    def replayed(self, record: CheckRecord) -> None:
        """Log a second use as the alarm it is: who tried, and who spent it first."""
        decision, facts = record.decision, record.facts
        if not isinstance(decision, Deny):
            return
        is_first = self._is_first(_alarm(record, decision))
        if not self._has_room(LeftOut.REPLAYS, is_wanted=is_first):
            return
        self._logger.warning(
            "token replayed",
            **_of(record),
            reason=decision.reason,
            peer_principal=facts.peer.principal if isinstance(facts, Facts) else None,
            peer_address=facts.peer.address if isinstance(facts, Facts) else None,
            **(first_fields(decision.first) if decision.first else {}),
        )

    def shadowed(self, record: ShadowRecord) -> None:
        """Log where a second policy disagrees, for whoever asked for debug lines."""
        if record.disagrees:
            self._logger.debug(
                "shadow policy disagrees", **_of(record), host=record.host, path=record.path,
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

    def _is_first(self, alarm: tuple[object, ...]) -> bool:
        is_first = alarm not in self._alarms
        self._alarms[alarm] = None
        self._alarms.move_to_end(alarm)
        if len(self._alarms) > MOST_ALARMS:
            self._alarms.popitem(last=False)
        return is_first

    def _has_room(self, what: LeftOut, *, is_wanted: bool = False) -> bool:
        room = self._room.get(what)
        if room is None or room.takes() or is_wanted:
            return True
        self._on_left_out(what)
        return False


def _alarm(record: CheckRecord, decision: Deny) -> tuple[object, ...]:
    """Return whose replay it is: what came again, and who brought it; a port anybody has as many of as he likes."""
    token, first = decision.token, decision.first
    peer = record.facts.peer if isinstance(record.facts, Facts) else None
    return (
        decision.reason,
        token.public_id if token else None,
        first.decision_id if first else None,
        peer.principal if peer else None,
        peer.address if peer else None,
    )


def _of(record: CheckRecord | ShadowRecord) -> dict[str, str | None]:
    """Return what every line about a decision begins with."""
    decision = record.answer if isinstance(record, ShadowRecord) else record.decision
    token, trace = token_of(decision), record.trace
    return {
        "decision_id": decision.decision_id,
        "trace_id": trace.trace_id if trace else None,
        "route": decision.route,
        "client_id": token.client_id if token else None,
        "token_id": token.public_id if token else None,
    }
