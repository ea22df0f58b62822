"""A disk without room, under an audit that is open."""

import os

from ott_extauthz.observe.audit import AuditFile
from ott_extauthz.observe.audit_file import FollowedFile
from ott_extauthz.observe.issuer_audit import IssuerAuditFile


def held_by(audit: AuditFile | IssuerAuditFile) -> FollowedFile:
    """Return the file below an audit."""
    target = audit._file._target
    assert isinstance(target, FollowedFile)
    return target


def fill(audit: AuditFile | IssuerAuditFile) -> None:
    """Have every write fail as on a full disk."""
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, held_by(audit)._descriptor)
    os.close(full)
