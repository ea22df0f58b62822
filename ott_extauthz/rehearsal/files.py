"""What lies in the files?  Policies, cases, audits, key sets, as a rehearsal wants them; nothing else is touched."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from ott_extauthz.bootstrap.policy_files import read_policy
from ott_extauthz.bootstrap.secret_files import unreadable
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.policy.document import Policy
from ott_extauthz.rehearsal.cases import Suite, suite_from
from ott_extauthz.reload.bounded import bounded

AUDIT_PATTERN: Final = "*.jsonl*"
"""Rotated files, too."""
LONGEST_LINE: Final = 1024 * 1024
"""Many times what the audit writes."""


def text_at(path: Path) -> str:
    """Return a file's text.

    Raises:
        DocumentError: it cannot be read.
    """
    try:
        return bounded(path).decode()
    except UnicodeDecodeError:
        raise DocumentError([Problem(str(path), 0, 0, "", "cannot be read: not UTF-8")]) from None
    except OSError as error:
        raise DocumentError([unreadable(path, error)]) from None


def suite_at(path: Path) -> tuple[Suite, Policy]:
    """Return the cases in a file, and the policy that they are about.

    Raises:
        DocumentError: every problem of either file.
    """
    suite, _ = suite_from(text_at(path), str(path))
    return suite, read_policy([path.parent / name for name in suite.policy])


def audit_lines(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield every line of an audit, a file or a folder of them; None for one that is no JSON object.

    An audit may be larger than memory, and one torn line, in whatever bytes, costs no other.

    Raises:
        DocumentError: nothing can be read there.
    """
    try:
        files = sorted(file for file in path.glob(AUDIT_PATTERN) if _is_audit(file)) if path.is_dir() else [path]
        if not files:
            raise DocumentError([Problem(str(path), 0, 0, "", "no audit here: no *.jsonl")])
        for file in files:
            with file.open("rb") as lines:
                _refuse_a_device(lines)
                while line := lines.readline(LONGEST_LINE):
                    yield _object(line)
    except OSError as error:
        raise DocumentError([unreadable(path, error)]) from None


def _refuse_a_device(file: BinaryIO) -> None:
    """Raise OSError for what may have no end: an audit has no other bound than its file's."""
    mode = os.fstat(file.fileno()).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))


def _is_audit(file: Path) -> bool:
    return file.suffix == ".jsonl" or file.suffix.removeprefix(".").isdecimal()


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
