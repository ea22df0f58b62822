"""Where does the issuer write down what it does?  A file of its own in ``audit.path``."""

from collections.abc import Callable

from ott_extauthz.bootstrap.audit_files import audit_path, not_opened, rotation_of
from ott_extauthz.bootstrap.issuer_inputs import issuer_settings
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.observe.issuer_audit import IssuerAuditFile, NoIssuerAudit
from ott_extauthz.observe.line_file import LineCounts
from ott_extauthz.ports import Clock
from ott_extauthz.sections.words import file_name
from ott_extauthz.settings import Settings


def issuer_audit(
    settings: Settings,
    *,
    counts: LineCounts,
    clock: Clock,
    source: str,
    tell: Callable[[str | None], None] = lambda _: None,
) -> IssuerAuditFile | NoIssuerAudit:
    """Return the issuer's audit, its file open.

    Raises:
        DocumentError: the file cannot be opened.
    """
    if settings.audit is None:
        return NoIssuerAudit()
    audit = settings.audit
    path = audit_path(audit, f"issuer-{file_name(issuer_settings(settings, source).listen)}.jsonl")
    try:
        return IssuerAuditFile(
            path, required=audit.required, counts=counts, clock=clock, rotation=rotation_of(audit), tell=tell
        )
    except OSError as error:
        raise DocumentError([Problem(source, 0, 0, "audit.path", not_opened(path, error))]) from None
