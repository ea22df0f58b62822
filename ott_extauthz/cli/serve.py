"""``ott-extauthz serve``: the Check server."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
import uvloop

from ott_extauthz.bootstrap.check_server import build
from ott_extauthz.bootstrap.check_server import serve as serve_app
from ott_extauthz.bootstrap.inputs import CheckInputs, check_inputs
from ott_extauthz.bootstrap.lost_lines import count_lost
from ott_extauthz.bootstrap.signals import stop_on_signals
from ott_extauthz.cli.options import DEFAULT_CONFIG, ConfigOption, fail, settings_or_exit
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.observe.exemplars import Exemplars
from ott_extauthz.observe.in_force import Report
from ott_extauthz.observe.left_out import LeftOut
from ott_extauthz.observe.log import Logger, new_logger
from ott_extauthz.observe.standard_error import StandardError, unhindered
from ott_extauthz.settings import Settings
from ott_extauthz.supervisor import EXEMPLARS, REPORT, SERVING, supervise
from ott_extauthz.wire.listening import ListenError

EXEMPLARS_SECONDS: Final = 1.0


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    worker: Annotated[str | None, typer.Option(hidden=True, help="Serve only this address, for a parent.")] = None,
) -> None:
    """Serve Envoy's ext_authz Check API, and /metrics, /healthz, /readyz."""
    with unhindered() as log:  # what keeps it from starting, too: nobody may read that either
        settings = settings_or_exit(config)
        try:
            inputs = check_inputs(settings, str(config))
            code = uvloop.run(_run(settings, inputs, config, worker, log))
        except (DocumentError, ListenError) as error:
            fail(error)
        except OSError as error:
            fail(f"{error.filename or 'serve'}: {error.strerror or error}")
    raise typer.Exit(code)


async def _run(
    settings: Settings, inputs: CheckInputs, config: Path, worker: str | None, log: StandardError | None
) -> int:
    logger = new_logger(settings.log.level)
    until = stop_on_signals()
    if worker is not None:
        return await _serve_as_worker(settings, inputs, worker, logger, until, log=log)
    for warning in inputs.policy.warnings:
        logger.warning("policy", warning=str(warning))
    if len(settings.listen.check) > 1:
        return await supervise(settings, config, logger, until, lost=lambda: log.lost if log else 0)
    address = settings.listen.check[0]
    app = build(settings, inputs, address=address, logger=logger)
    count_lost(log, partial(app.metrics.log_left_out, LeftOut.UNWRITTEN))
    await serve_app(
        app,
        admin=settings.listen.admin,
        until=until,
        on_serving=lambda: logger.info("serving", check=address, admin=settings.listen.admin),
    )
    logger.info("left")
    return 0


async def _serve_as_worker(
    settings: Settings,
    inputs: CheckInputs,
    address: str,
    logger: Logger,
    until: asyncio.Event,
    *,
    log: StandardError | None,
) -> int:
    if address not in settings.listen.check:
        fail(f"--worker {address}: not among listen.check")
    app = build(settings, inputs, address=address, logger=logger)
    count_lost(log, partial(app.metrics.log_left_out, LeftOut.UNWRITTEN))
    _leave_with_the_parent(until)

    def say_serving() -> None:
        _tell_parent(SERVING)
        _report_to_parent(app.report)
        logger.info("serving", check=address)

    reporter = Reporter(app.report, on_fault=app.metrics.faulted)
    telling = asyncio.create_task(_keep_telling(app.metrics.exemplars))
    try:
        await serve_app(app, admin=None, until=until, on_serving=say_serving, on_report=lambda _: reporter.want())
    finally:
        telling.cancel()
    return 0


async def _keep_telling(exemplars: Exemplars) -> None:
    """Tell the parent which requests are examples of the histogram's buckets, whenever there are new ones."""
    while True:
        await asyncio.sleep(EXEMPLARS_SECONDS)
        if (told := exemplars.told()) is not None:
            # In a thread: a parent that is slow to read must not hold up the Checks.
            await asyncio.to_thread(_tell_parent, EXEMPLARS + msgspec.json.encode(told).decode())


class Reporter:
    """Tells the parent what is in force, whenever somebody wants that: a thread's own business.

    A key set changes in the event loop, and a report may be larger than a pipe: a parent that is slow to read, for it
    answers a scrape, would hold up the Checks.
    """

    def __init__(self, report: Callable[[], Report], *, on_fault: Callable[[str], None]) -> None:
        self._report = report
        self._on_fault = on_fault
        self._wanted = threading.Event()
        threading.Thread(target=self._run, name="report", daemon=True).start()

    def want(self) -> None:
        """Have a report told that is no older than this; from any thread, never waits."""
        self._wanted.set()

    def _run(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            try:
                _report_to_parent(self._report)
            except Exception as error:  # noqa: BLE001 - the next report must come, whatever broke this one
                self._on_fault(type(error).__name__)


def _report_to_parent(report: Callable[[], Report]) -> None:
    with _reporting:  # asked for within: what was so before a change must not be told after it
        _tell_parent(REPORT + msgspec.json.encode(report()).decode())


_reporting, _telling = threading.Lock(), threading.Lock()  # files are looked at in one thread, key sets in another


def _tell_parent(line: str) -> None:
    with _telling:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _leave_with_the_parent(until: asyncio.Event) -> None:
    """Set ``until`` when standard input ends: the parent holds its other end, and however it dies, that end closes."""
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def wait_for_the_end() -> None:
        while os.read(stdin, 1):  # not sys.stdin: a thread within its lock makes the interpreter abort when it ends
            pass
        loop.call_soon_threadsafe(until.set)

    threading.Thread(target=wait_for_the_end, name="parent-watch", daemon=True).start()
