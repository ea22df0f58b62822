"""Can others read this secret?"""

import os
from pathlib import Path

from ott_extauthz.documents.problems import Problem


def readable_by_others(path: Path) -> list[Problem]:
    """A secret that everybody on the machine can read is no secret; a group may, for a sidecar's shared volume."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return [unreadable(path, error)]
    return [Problem(str(path), 0, 0, "", "a secret readable by all; chmod o-rwx")] if mode & 0o007 else []


def unreadable(path: Path, error: Exception) -> Problem:
    """Return the problem of a file that cannot be read."""
    return Problem(str(path), 0, 0, "", f"cannot be read: {_why(error)}")


def why_unreadable(path: Path | None, error: Exception) -> str:
    """Say the same where a setting is the place."""
    return f"{path} cannot be read: {_why(error)}"


def _why(error: Exception) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
