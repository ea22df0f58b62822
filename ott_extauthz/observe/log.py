"""What is logged?  JSON lines on standard error: constant messages, what varies in fields; never a secret."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import structlog

from ott_extauthz.model.decision import Allow, Deny
from ott_extauthz.model.facts import Facts
from ott_extauthz.observe.alarms import Alarms
from ott_extauthz.observe.allowance import Allowance
from ott_extauthz.observe.audit import first_fields, shadow_fields, token_of
from ott_extauthz.observe.left_out import LeftOut
from ott_extauthz.ports import CheckRecord, ShadowRecord, StoreHealth, UsedListFault

AS_JSON: Final[Sequence[structlog.typing.Processor]] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.JSONRenderer(),
)
"""How a line looks."""

Logger = structlog.typing.FilteringBoundLogger


def new_logger(level: Literal["debug", "info", "warning", "error"]) -> Logger:
    """Return a logger that writes JSON lines to standard error."""
    logger: Logger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),  # a line in one piece
        processors=AS_JSON,
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


class DecisionLog:
    """Logs refusals, replays and faults; allows are in the audit and the metrics, and here for debugging.

    A client makes as many refusals as it likes, and a store that is down a fault of each Check: of every sort only so
    many lines are written in a second, and ``on_left_out`` hears of each that is not.  What was left out is in the
    audit or the metrics.  A caller's first replay of a token has room beyond that (:mod:`ott_extauthz.observe.alarms`).
    """

    def __init__(
        self,
        logger: Logger,
        *,
        room: Mapping[LeftOut, Allowance] = MappingProxyType({}),
        alarms: Alarms | None = None,
        on_left_out: Callable[[LeftOut], None] = lambda _: None,
    ) -> None:
        self._logger = logger.bind()  # what it is made from makes another at each use, which costs more than a metric
        self._tells_allows = self._logger.is_enabled_for(logging.DEBUG)
        self._room = room
        self._on_left_out = on_left_out
        self._alarms = alarms

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
        if not self._tells_replay(record, decision):
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
        if self._has_room(LeftOut.FAULTS):
            self._logger.error("internal error", type=error_type)

    def spend_took(self, seconds: float) -> None:
        """Say nothing: the histogram has it."""

    def store_failed(self, fault: UsedListFault) -> None:
        """Log a broken used-list."""
        if self._has_room(LeftOut.FAULTS):
            self._logger.warning("used-list failed", kind=fault)

    def _tells_replay(self, record: CheckRecord, decision: Deny) -> bool:
        alarms = self._alarms
        if alarms is None:
            return self._has_room(LeftOut.REPLAYS)
        is_first = alarms.is_first(record, decision)
        is_told = self._has_room(LeftOut.REPLAYS, more=lambda: is_first and alarms.takes(record))
        if is_told and is_first:
            alarms.told(record, decision)
        return is_told

    def _has_room(self, what: LeftOut, *, more: Callable[[], bool] = lambda: False) -> bool:
        room = self._room.get(what)
        if room is None or room.takes() or more():
            return True
        self._on_left_out(what)
        return False


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
