"""What if standard output takes no more?  A full disk behind it is one line and an exit code, never a traceback."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from ott_extauthz.cli.options import BAD

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


@contextmanager
def told_when_full() -> Iterator[None]:
    """Have a command end with 1 where standard output did not take all of what it printed."""
    try:
        yield
    except (OSError, SystemExit) as ended:
        why = _why_not_taken() or _full(ended)
        if why is None:
            raise
        typer.echo(f"cannot write: {why}", err=True)
        sys.exit(BAD)


def _why_not_taken() -> str | None:
    """Return what keeps standard output from taking what it still holds; None where it holds nothing."""
    try:
        sys.stdout.flush()
    except AttributeError:  # closed by whoever started us
        return None
    except OSError as error:
        _let_go()
        return error.strerror
    return None


def _full(ended: BaseException) -> str | None:
    """Say so where a write failed that held nothing back: an output without a buffer (PYTHONUNBUFFERED)."""
    if isinstance(ended, OSError) and ended.filename is None and ended.errno in _FULL:
        return ended.strerror
    return None


def _let_go() -> None:
    """Have what is left go nowhere: the interpreter tries once more when it ends, and tells of that in its own way."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
