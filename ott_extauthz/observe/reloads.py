"""How do reloads show?  In the log with every problem, and in the counters."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from ott_extauthz.observe.in_force import label
from ott_extauthz.observe.log import Logger
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.policy.document import Policy
from ott_extauthz.reload.source import InForce, Result, Shown

MOST_LOGGED: Final = 1000


class Reloads:
    """Logs and counts how reloads end; then calls ``on_change``."""

    def __init__(self, logger: Logger, metrics: Metrics) -> None:
        self._logger = logger
        self._metrics = metrics
        self.on_change: Callable[[], None] = lambda: None

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        """Log, count, and tell whoever shows what is in force."""
        now = source.in_force
        logger = self._logger.bind(what=source.kind, name=source.name)
        if not source.kind.is_secret:
            logger = logger.bind(sha256=now.fingerprint)
        if isinstance(now.value, Policy):
            logger = logger.bind(revision=now.value.revision)
            self._metrics.policy_reloaded(label(source.kind), result)
            self._metrics.expect(now.value)
        else:
            self._metrics.key_set_reloaded(source.name, result)
        if result is Result.REFUSED:
            log_problems(logger, now)
        else:
            logger.info("reloaded" if result is Result.LOADED else "unchanged")
            _warn(logger, now.value, before.value, is_new=result is Result.LOADED)
        self.on_change()


def log_problems(logger: Logger, now: InForce[Any]) -> None:
    """Log that a change was refused, and every problem of it."""
    problems = now.failure.problems if now.failure else ()
    logger.error("change refused, what was in force stays", problems=len(problems))
    for problem in problems[:MOST_LOGGED]:
        logger.error("problem", problem=str(problem))


def _warn(logger: Logger, now: object, before: object, *, is_new: bool) -> None:
    if not isinstance(now, Policy) or not is_new:
        return
    if isinstance(before, Policy) and before.revision == now.revision:
        logger.warning("same revision, other content: decisions of both name the same revision")
    warn_of_shadow(logger, now)


def warn_of_shadow(logger: Logger, policy: Policy) -> None:
    """Say which routes enforce nothing."""
    names = in_shadow(policy)
    if names:
        logger.warning("routes in shadow enforce nothing", routes=names)


def in_shadow(policy: Policy) -> Sequence[str]:
    """Return the names of the routes that enforce nothing."""
    return [route.name for route in policy.table.routes if route.shadow]
