"""What lies in the files?  Policies, cases, audits, key sets, as a rehearsal wants them; nothing else is touched."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ott_extauthz.bootstrap.policy_files import read_policy
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.policy.document import Policy
from ott_extauthz.rehearsal.cases import Suite, suite_from

AUDIT_PATTERN = "*.jsonl"


def text_at(path: Path) -> str:
    """Return a file's text.

    Raises:
        DocumentError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or type(error).__name__) if isinstance(error, OSError) else "not UTF-8"
        raise DocumentError([Problem(str(path), 0, 0, "", f"cannot be read: {why}")]) from None


def suite_at(path: Path) -> tuple[Suite, Policy]:
    """Return the cases in a file, and the policy that they are about.

    Raises:
        DocumentError: every problem of either file.
    """
    suite, _ = suite_from(text_at(path), str(path))
    return suite, read_policy([path.parent / name for name in suite.policy])


def audit_lines(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield every line of an audit, a file or a folder of them; None for one that is no JSON object.

    Raises:
        DocumentError: nothing can be read there.
    """
    files = sorted(path.glob(AUDIT_PATTERN)) if path.is_dir() else [path]
    if not files:
        raise DocumentError([Problem(str(path), 0, 0, "", f"no audit here: no {AUDIT_PATTERN}")])
    for file in files:
        for line in text_at(file).splitlines():
            yield _object(line) if line else None


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
