"""Who watches the workers?  One process per ``listen.check`` address, started, restarted and drained by this parent.

- A worker is ``ott-extauthz serve --worker ADDRESS``; it says ``serving`` on its standard output.
- It holds the reading end of a pipe from us as standard input: if we die, it sees the end and drains.
- A worker that cannot start the first time ends everything: the operator is watching.  Later ends are restarts, with a
  pause that doubles up to five seconds, so that a crash loop does not eat the machine.
- SIGHUP is passed on to every worker; each reads its files by itself and reports what it has in force.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from prometheus_client.multiprocess import mark_process_dead

from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.signals import on_hangup
from ott_extauthz.observe.api_keys import show_api_keys
from ott_extauthz.observe.certificate_ends import CertificateEnds
from ott_extauthz.observe.departures import Departures, known_to_all
from ott_extauthz.observe.exemplars import Exemplar
from ott_extauthz.observe.exposition import WORKERS_FOLDER, exposition, workers_registry
from ott_extauthz.observe.in_force import Report, show_policies
from ott_extauthz.observe.log import Logger
from ott_extauthz.observe.workers import WorkersServing
from ott_extauthz.sections.server import Tls
from ott_extauthz.settings import Settings
from ott_extauthz.wire.admin_http import Admin, admin_app
from ott_extauthz.wire.http_server import serve_http

SERVING: Final = "serving"
REPORT: Final = "in force "
EXEMPLARS: Final = "exemplars "
_MOST_LINE_BYTES: Final = 16 * 1024 * 1024
"""A report names the end of every API key, 14 bytes each."""

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 5.0
SETTLED_SECONDS: Final = 10.0
KILL_AFTER: Final = 5.0
"""How long a worker may outstay its own drain before it is killed."""


class Worker:
    """One address and the process that serves it now."""

    def __init__(self, *, config: Path, address: str, environment: dict[str, str], logger: Logger) -> None:
        self.address = address
        self.is_serving = False
        self.report = Report()
        self.exemplars: list[Exemplar] = []
        self._is_asked = False
        self._config = config
        self._environment = environment
        self._logger = logger.bind(address=address)
        self._process: Process | None = None
        self._has_served = False
        self._is_leaving = False

    async def keep(self) -> int:
        """Run the worker, again and again, until told to leave; returns its exit code if it never came up."""
        pause = FIRST_PAUSE
        while not self._is_leaving:
            started = asyncio.get_running_loop().time()
            code = await self._run_once()
            if not self._has_served or self._is_leaving:
                return code
            settled = asyncio.get_running_loop().time() - started > SETTLED_SECONDS
            pause = FIRST_PAUSE if settled else min(pause * 2, LONGEST_PAUSE)
            self._logger.error("worker ended, restarting", exit_code=code, pause_seconds=pause)
            await asyncio.sleep(pause)
        return 0

    def leave(self) -> None:
        """Ask the process to drain."""
        self._is_leaving = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    def reload(self) -> None:
        """Pass SIGHUP on; a worker that is still starting would die of it, and gets it once it serves."""
        self._is_asked = True
        if self.is_serving and self._process is not None and self._process.returncode is None:
            self._is_asked = False
            self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End a process that did not leave in time."""
        if self._process is not None and self._process.returncode is None:
            self._logger.error("worker did not drain in time, killed")
            self._process.kill()

    async def _run_once(self) -> int:
        command = [sys.executable, "-m", "ott_extauthz", "serve", "-c", str(self._config), "--worker", self.address]
        self._process = process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, env=self._environment, limit=_MOST_LINE_BYTES
        )
        if self._is_leaving:  # told to leave while the process was being made
            process.terminate()
        assert process.stdout is not None  # noqa: S101 - we asked for a pipe
        async for line in lines_of(process.stdout):
            self._hear(line)
        self.is_serving, self.report, self.exemplars = False, Report(), []
        code = await process.wait()
        mark_process_dead(process.pid, path=self._environment[WORKERS_FOLDER])  # type: ignore[no-untyped-call]
        return code

    def _hear(self, said: bytes) -> None:
        line = said.decode(errors="replace").strip()
        with suppress(msgspec.DecodeError):  # a library's print, a line cut short: nothing that may end all workers
            if line.startswith(REPORT):
                self.report = msgspec.json.decode(line.removeprefix(REPORT), type=Report)
            elif line.startswith(EXEMPLARS):
                self.exemplars = msgspec.json.decode(line.removeprefix(EXEMPLARS), type=list[Exemplar])
        if line == SERVING:
            self.is_serving = self._has_served = True
            if self._is_asked:
                self.reload()


async def lines_of(output: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a worker's output, without those that are longer than we hold."""
    while True:
        try:
            line = await output.readline()
        except ValueError:  # what is left of the line is another, which says nothing
            continue
        if not line:
            return
        yield line


async def supervise(
    settings: Settings, config: Path, logger: Logger, until: asyncio.Event, *, lost: Callable[[], int] = lambda: 0
) -> int:
    """Run a worker per address until ``until`` is set; returns the exit code.

    ``lost`` tells how many lines of our own log nobody read.

    Raises:
        ListenError: the admin address cannot be listened on.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="ott-workers-"))
        os.environ[WORKERS_FOLDER] = folder
        environment = dict(os.environ)
        workers = [
            Worker(config=config, address=address, environment=environment, logger=logger)
            for address in settings.listen.check
        ]
        runner = await serve_http(
            admin_app(_admin(workers, settings.listen.tls, lost)),
            settings.listen.admin,
            setting="listen.admin",
            on_fault=lambda error_type: logger.error("internal error", type=error_type),
        )
        stack.push_async_callback(runner.cleanup)
        stack.enter_context(on_hangup(partial(_reload, workers)))
        kept = [asyncio.create_task(worker.keep()) for worker in workers]
        stopped = asyncio.create_task(until.wait())
        await asyncio.wait([*kept, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        failed = any(task.done() for task in kept)
        await _drain(workers, kept, (settings.drain.wait + settings.drain.grace) / 1000 + KILL_AFTER)
        return 1 if failed else 0


def _reload(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.reload()


async def _drain(workers: Sequence[Worker], kept: Sequence["asyncio.Task[int]"], patience: float) -> None:
    for worker in workers:
        worker.leave()
    _, late = await asyncio.wait(kept, timeout=patience)
    if late:
        for worker in workers:
            worker.kill()
        await asyncio.wait(late)


def _admin(workers: Sequence[Worker], tls: Tls | None, lost: Callable[[], int] = lambda: 0) -> Admin:
    async def readiness() -> tuple[bool, list[str]]:
        lines = [f"worker {worker.address}: {line}" for worker in workers for line in _state(worker)]
        return all(worker.is_serving and worker.report.is_ready for worker in workers), lines

    departures = Departures(
        lambda: known_to_all([worker.report.known for worker in workers if worker.is_serving]), SystemClock().monotonic
    )

    def metrics(accept: str) -> tuple[bytes, str]:
        registry = workers_registry(lost)
        show_policies(registry, lambda: [worker.report for worker in workers])
        show_api_keys(registry, lambda: [worker.report for worker in workers], SystemClock().now_ms)
        registry.register(CertificateEnds.of("check", tls))
        registry.register(WorkersServing(lambda: [worker.is_serving for worker in workers]))
        exemplars = [each for worker in workers for each in worker.exemplars]
        return exposition(registry, accept, exemplars, departures)

    return Admin(metrics=metrics, readiness=readiness)


def _state(worker: Worker) -> tuple[str, ...]:
    return "serving" if worker.is_serving else "not serving", *worker.report.lines
