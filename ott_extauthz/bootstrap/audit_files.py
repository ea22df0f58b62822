"""Which file is an audit's, and when does it become another?  As ``audit`` in ott.yaml says it."""

from pathlib import Path
from typing import Literal

from ott_extauthz.observe.audit_file import Rotation
from ott_extauthz.sections.serving import Audit


def audit_path(audit: Audit, name: str) -> Path | Literal["-"]:
    """Return the file of this name, or the standard output."""
    return "-" if audit.path == "-" else audit.path / name


def rotation_of(audit: Audit) -> Rotation | None:
    """Return when files are turned; None where never."""
    return None if audit.rotate is None else Rotation(size=audit.rotate.size, keep=audit.rotate.keep)


def not_opened(path: Path | Literal["-"], error: OSError) -> str:
    """Return why nothing can be written there."""
    return f"{path} cannot be opened: {error.strerror or type(error).__name__}"
