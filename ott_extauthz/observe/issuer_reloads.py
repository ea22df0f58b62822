"""How do the reloads of an issuer show?  In the log, in the counters, and changed clients in the audit, by name."""

from collections.abc import Callable
from typing import Any, Protocol

from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.log import Logger
from ott_extauthz.observe.reloads import log_problems
from ott_extauthz.reload.source import InForce, Kind, Result, Shown


class Changes(Protocol):
    """Names of clients."""

    @property
    def added(self) -> tuple[str, ...]:
        """Those that are new."""
        ...

    @property
    def removed(self) -> tuple[str, ...]:
        """Those that are gone."""
        ...

    @property
    def changed(self) -> tuple[str, ...]:
        """Those that are others now."""
        ...


class ClientsAudit(Protocol):
    """Writes changes of clients down."""

    def clients_changed(self, *, added: tuple[str, ...], removed: tuple[str, ...], changed: tuple[str, ...]) -> None:
        """Write down whose entries changed."""
        ...


class IssuerReloads:
    """Logs, counts and writes down how reloads end; ``changes`` compares the clients before and after."""

    def __init__(
        self, logger: Logger, metrics: IssuerMetrics, audit: ClientsAudit, changes: Callable[[Any, Any], Changes]
    ) -> None:
        self._logger, self._metrics, self._audit, self._changes = logger, metrics, audit, changes

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        """Log and count; write down which clients are new, gone, or others now."""
        now = source.in_force
        logger = self._logger.bind(what=source.kind, name=source.name)
        if not source.kind.is_secret:
            logger = logger.bind(sha256=now.fingerprint)
        if source.kind is Kind.CLIENTS:
            self._metrics.clients_reloaded(result)
        else:
            self._metrics.key_set_reloaded(source.name, result)
        if result is Result.REFUSED:
            log_problems(logger, now)
        elif result is Result.LOADED and source.kind is Kind.CLIENTS:
            found = self._changes(before.value, now.value)
            names = {"added": found.added, "removed": found.removed, "changed": found.changed}
            logger.info("reloaded", **names)
            self._audit.clients_changed(**names)
        else:
            logger.info("reloaded" if result is Result.LOADED else "unchanged")
