"""What does a newcomer see?  A real Envoy lets a call through once and refuses the same call the second time."""

import asyncio
import shlex
import signal
import sys
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ott_extauthz.demo.calling import Reply
from ott_extauthz.demo.programs import EnvoyMissingError, ProgramError
from ott_extauthz.demo.stage import CLIENT_ID, Stage, stage, store_told
from ott_extauthz.demo.steps import STEPS, Step, Tour

_OF_THE_STORE: Final = "store_"
_FENCE: Final = "store_epoch"
_FENCE_PAUSE: Final = 0.1
_FENCE_TRIES: Final = 80
_STORE_TRIES: Final = 10
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)
_AS_EXPECTED, _DIFFERS, _USAGE = 0, 1, 2


def run_demo(*, once: bool, store: str | None) -> int:
    """Run the tour; without ``once`` stay up until Ctrl-C.

    Returns the exit code: 0 when every step came out as expected, 1 when not, 2 when there is no Envoy to run.
    """
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    try:
        return asyncio.run(_demo(console, once=once, store=store or "memory://"))
    except ProgramError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(escape(str(error)))
        return _USAGE if isinstance(error, EnvoyMissingError) else _DIFFERS
    except KeyboardInterrupt:
        console.print("\ninterrupted before the tour was over; everything is cleared away")
        return _DIFFERS


async def _demo(console: Console, *, once: bool, store: str) -> int:
    loop = asyncio.get_running_loop()
    # Whoever ends us by a signal must not leave Envoy and the servers behind: both signals take the way of Ctrl-C.
    loop.add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    started = loop.time()
    console.print("Starting an issuer, a Check server, a real Envoy that wants mTLS, and a small service behind it ...")
    async with stage(store=store) as ready:
        console.print(f"All up after {loop.time() - started:.1f} s. Every call below goes through Envoy:\n")
        tour = Tour(ready)
        await _wait_for_fence(console, tour)
        as_expected = [await _step(console, number, step, tour) for number, step in enumerate(STEPS, 1)]
        console.print(
            f"\n{sum(as_expected)} of {len(STEPS)} steps came out as expected, after {loop.time() - started:.1f} s."
        )
        if not once:
            _print_playground(console, ready)
            await _until_ended(loop)
            console.print("\nEverything is cleared away.")
    return _AS_EXPECTED if all(as_expected) else _DIFFERS


async def _until_ended(loop: asyncio.AbstractEventLoop) -> None:
    ended = asyncio.Event()
    for name in _ENDING:
        loop.add_signal_handler(name, ended.set)
    await ended.wait()


async def _wait_for_fence(console: Console, tour: Tour) -> None:
    """Mint until the used-list vouches for what we mint; it refuses tokens older than its own first moments.

    Raises:
        ProgramError: there is no store that could.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    for tried in range(_FENCE_TRIES):
        reason = (await tour.with_fresh_token()).reason or ""
        if not reason.startswith(_OF_THE_STORE):
            break
        if reason != _FENCE and tried >= _STORE_TRIES:
            raise ProgramError(f"The demo needs its store ({reason}). {await store_told(tour.stage.ports.admin)}")
        await asyncio.sleep(_FENCE_PAUSE)
    waited = loop.time() - began
    if waited > _FENCE_PAUSE:
        console.print(f"(waited {waited:.1f} s: a used-list that has just started vouches for new tokens only)\n")


async def _step(console: Console, number: int, step: Step, tour: Tour) -> bool:
    if step.call is Tour.expired:
        await asyncio.sleep(max(0.0, tour.stage.short_lived.expired_at - asyncio.get_running_loop().time()))
    reply = await step.call(tour)
    complaint = step.complaint(tour, reply)
    _show(console, number, step, reply, complaint)
    return complaint is None


def _show(console: Console, number: int, step: Step, reply: Reply, complaint: str | None) -> None:
    came_back = f"{reply.status} {reply.code or ('passed' if reply.status == 200 else '')}".strip()  # noqa: PLR2004 - OK
    because = f"{reply.reason}: {step.why}" if reply.reason else step.why
    if complaint is not None:
        because = f"NOT AS EXPECTED: {complaint}; {because}"
    if not console.is_terminal:
        console.print(escape(f"{number:2}. {step.sent:<42} -> {came_back:<22} {because}"))
        return
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=3, justify="right")
    row.add_column(ratio=4)
    row.add_column(width=21, no_wrap=True)
    row.add_column(ratio=6)
    colour = "red" if complaint else "green" if reply.status == 200 else "yellow"  # noqa: PLR2004 - OK
    row.add_row(f"{number}.", escape(step.sent), f"[bold {colour}]{escape(came_back)}[/]", escape(because))
    console.print(row)


def _print_playground(console: Console, ready: Stage) -> None:
    """Print lines to paste into another terminal."""
    tls = ready.folder / "tls"
    caller = ["--cacert", tls / "ca.pem", "--cert", tls / "rgs.pem", "--key", tls / "rgs-key.pem"]
    form = ["grant_type=client_credentials", f"client_id={CLIENT_ID}", "resource=wallet.api", "scope=wallet:debit"]
    issuer = [f"https://127.0.0.1:{ready.ports.issuer}/token", *(part for pair in form for part in ("-d", pair))]
    debit = ["-H", "host: wallet.api", f"https://127.0.0.1:{ready.ports.gateway}/v1/wallets/w-17/debit"]
    spend = _line("curl", "-i", "-w", r"\n", "-X", "POST", *caller, *debit)
    read = """sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/'"""
    lines = [
        "\nIt stays up until you press Ctrl-C. Paste these into another terminal:\n",
        "# a one-time token, good for 30 seconds and for one call",
        f"TOKEN=$({_line('curl', '-s', *caller, *issuer)} | {read})\n",
        "# spend it; the second time it is refused",
        f'{spend} -H "x-ott: $TOKEN"\n',
        "# what was decided: Envoy's access log, the audit, the metrics, the whole configuration",
        _line("tail", "-n", "3", ready.folder / "access.log"),
        f"ls {shlex.quote(str(ready.folder / 'audit'))}",
        _line("curl", "-s", f"http://127.0.0.1:{ready.ports.admin}/metrics"),
        _line("ls", ready.folder),
    ]
    for line in lines:
        console.print(escape(line), soft_wrap=True)


def _line(*words: object) -> str:
    return " ".join(shlex.quote(str(word)) for word in words)
