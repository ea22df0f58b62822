"""What is written down?  One JSON line per decision, before it is answered.

The line goes out in one ``write`` to a file opened for appending, one file per worker, so that lines of two processes
never mix.  No token, no key, no query string is ever in it; the token shows as a digest.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.model.decision import Allow, Attached, AttachedToken, Decision, Deny
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.replay import FirstSpender
from ott_extauthz.model.shown import shown_method
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.observe.audit_file import Rotation
from ott_extauthz.observe.line_file import GROUP_MAY_READ, LineFile
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.ports import CheckRecord, ShadowRecord

FORMAT_VERSION: Final = 1
MEANINGS: Final = MappingProxyType(
    {
        "v": "Version of this format: 1.",
        "at": "When the Check arrived, UTC, milliseconds.",
        "decision_id": "Names this decision everywhere: answer, log, span, dynamic metadata.",
        "trace_id": "The W3C trace that Envoy, or the request, named; what a client writes there proves nothing.",
        "outcome": "`allow` or `deny`; null on the line of a shadow policy, which follows the decision's own.",
        "reason": "Why it was refused: see the reasons above.",
        "detail": "What refused, where the reason alone does not say: `deny_when[1]`, `max_amount`.",
        "code": "The family of the reason.",
        "status": "The HTTP status of the refusal.",
        "route": "The policy's route, once one matched.",
        "policy_revision": "The policy that decided.",
        "method": "The request's method; `~masked~` where it is no word.",
        "host": "The canonical host, once there is one; a label longer than any name is `~masked~`.",
        "path": "The canonical path, without the query; a segment that looks like a credential is `~masked~`.",
        "peer_address": "The caller's address as Envoy saw it.",
        "peer_principal": "The caller's identity as Envoy verified it.",
        "peer_certificate": "SHA-256 of the caller's certificate, base64url (`x5t#S256`).",
        "credential": "The kind of credential that proved the caller, or was judged last where the call was refused.",
        "issuer": "`iss` of the verified token; like all claims only once it is verified.",
        "subject": "`sub`.",
        "client_id": "`client_id`.",
        "actor": "Who acts for the subject: `act.sub`, the outermost.",
        "audience": "`aud`.",
        "scope": "The scopes of `scope`, sorted.",
        "token_id": "Digest of issuer and `jti`; the same as the upstream's `x-ott-token-id`.",
        "txn": "`txn`.",
        "first_at": "On a replay: when the token was spent first, UTC, on the used-list's clock.",
        "first_decision_id": "On a replay: the decision that spent it.",
        "first_route": "On a replay: the route it was spent on.",
        "first_peer_certificate": "On a replay: SHA-256 of the certificate of whoever spent it.",
        "attached": "`true` where a token was put on an outgoing request; `audience` and `token_id` are its own.",
        "signing_key": "The key of `attach.signing_keys` that signed an outgoing request.",
        "signature_form": "How it signed: `hmac`, `eddsa`, `standard_webhooks` or `http_signatures`.",
        "signature_keyid": "What the signature calls the key, where its form has a word for it.",
        "token_state": "`unspent`, `spent`, `unknown`; null where no token took part. A mandate is never spent.",
        "shadow_outcome": "What a route in shadow, or the shadow policy, would have answered: `allow` or `deny`.",
        "shadow_reason": "Why it would have refused.",
        "shadow_code": "The family of that reason.",
        "shadow_detail": "The rule that would have refused, where the policy names it.",
        "shadow_route": "The route that would have answered.",
        "shadow_policy_revision": "The policy that would have answered.",
        "seconds": "From arrival to decision.",
    }
)
"""Every field of a line, always present, in this order; one that does not apply is null."""


class AuditFile:
    """Appends decisions to one file.

    With ``required`` a line that cannot be written raises AuditError, and the checker refuses; without, it is counted.
    """

    def __init__(
        self,
        path: Path | Literal["-"],
        *,
        required: bool,
        metrics: Metrics,
        rotation: Rotation | None = None,
        tell: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        """Open the file; ``-`` is the standard output.

        Raises:
            OSError: it cannot be opened.
        """
        self._file = LineFile.at(path, mode=GROUP_MAY_READ, counts=metrics, rotation=rotation, tell=tell)
        self._required = required

    def write(self, record: CheckRecord) -> None:
        """Write one line.

        Raises:
            AuditError: the line is not in the file, and it had to be.
        """
        self._file.write(line_from(record), required=self._required)

    def write_shadow(self, record: ShadowRecord) -> None:
        """Write one line about an answer that is out; one that cannot be written is counted."""
        self._file.write(shadow_line_from(record), required=False)

    def reopen(self) -> None:
        """Go on in the file of our name, where somebody moved the one that is open."""
        self._file.reopen()

    def close(self) -> None:
        """Close the file; every line is in it already."""
        self._file.close()


class NoAudit:
    """Writes nothing down; for servers configured without ``audit``."""

    def write(self, record: CheckRecord) -> None:
        """Do nothing with ``record``."""

    def write_shadow(self, record: ShadowRecord) -> None:
        """Do nothing with ``record``."""

    def reopen(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def line_from(record: CheckRecord) -> dict[str, Any]:
    """Return a record's line as plain values, every field of :data:`MEANINGS`."""
    decision, facts = record.decision, record.facts
    token = token_of(decision)
    line: dict[str, Any] = dict.fromkeys(MEANINGS)
    line |= {
        "v": FORMAT_VERSION,
        "at": instant(record.at_ms),
        "decision_id": decision.decision_id,
        "trace_id": _trace_id(record),
        "outcome": "allow" if isinstance(decision, Allow) else "deny",
        "route": decision.route,
        "credential": decision.credential,
        "policy_revision": decision.policy_revision,
        "host": record.host,
        "path": record.path,
        "seconds": round(record.seconds, 6),
    }
    if isinstance(decision, Deny):
        line |= {
            "reason": decision.reason,
            "detail": decision.detail,
            "code": decision.meaning.code,
            "status": decision.status,
            "token_state": decision.token_state,
        }
        line |= first_fields(decision.first) if decision.first else {}
    elif decision.would_be is not None:
        line["token_state"] = "unspent" if token is not None else None
    elif token is not None:
        line["token_state"] = "unspent" if token.may_come_again else "spent"
    if isinstance(decision, Allow) and decision.would_be is not None:
        line |= shadow_fields(decision.would_be)
    if isinstance(decision, Allow) and decision.attached is not None:
        line |= _attached(decision.attached)
    if isinstance(facts, Facts):
        line |= _caller(facts)
    if token is not None:
        line |= _token(token)
    return line


def _attached(attached: Attached) -> dict[str, Any]:
    if isinstance(attached, AttachedToken):
        return {"attached": True, "audience": attached.audience, "token_id": attached.public_id}
    return {
        "signing_key": attached.key,
        "signature_form": attached.form,
        "signature_keyid": attached.keyid,
    }


def shadow_line_from(record: ShadowRecord) -> dict[str, Any]:
    """Return the line of a shadow policy's word: no outcome, for it was none."""
    line: dict[str, Any] = dict.fromkeys(MEANINGS)
    line |= {
        "v": FORMAT_VERSION,
        "at": instant(record.at_ms),
        "decision_id": record.answer.decision_id,
        "trace_id": _trace_id(record),
        "host": record.host,
        "path": record.path,
    }
    if isinstance(record.facts, Facts):
        line |= _caller(record.facts)
    return line | shadow_fields(record.would_be)


def shadow_fields(would_be: Decision) -> dict[str, Any]:
    """Return what would have been answered, as the audit and the log name it."""
    fields: dict[str, Any] = {
        "shadow_outcome": "allow" if isinstance(would_be, Allow) else "deny",
        "shadow_route": would_be.route,
        "shadow_policy_revision": would_be.policy_revision,
    }
    if isinstance(would_be, Deny):
        fields |= {
            "shadow_reason": would_be.reason,
            "shadow_code": would_be.meaning.code,
            "shadow_detail": would_be.detail,
        }
    return fields


def first_fields(first: FirstSpender) -> dict[str, Any]:
    """Return who spent a token first, as the audit and the log name it."""
    certificate = first.peer_certificate
    return {
        "first_at": instant(first.at_ms),
        "first_decision_id": first.decision_id,
        "first_route": first.route,
        "first_peer_certificate": None if certificate is None else encoded(certificate),
    }


def instant(at_ms: int) -> str:
    """Return a moment as the audit writes it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def token_of(decision: Decision) -> VerifiedToken | None:
    """Return the token that a decision is about, once it was verified."""
    if isinstance(decision, Deny):
        return decision.token
    if isinstance(decision.would_be, Deny):
        return decision.would_be.token
    return decision.spent.token if decision.spent else None


def _trace_id(record: CheckRecord | ShadowRecord) -> str | None:
    trace = record.trace
    return None if trace is None else trace.trace_id


def _caller(facts: Facts) -> dict[str, Any]:
    certificate = facts.peer.certificate
    return {
        "method": shown_method(facts.method),
        "peer_address": facts.peer.address,
        "peer_principal": facts.peer.principal,
        "peer_certificate": None if isinstance(certificate, Reason) else encoded(certificate),
    }


def _token(token: VerifiedToken) -> dict[str, Any]:
    return {
        "issuer": token.id.issuer,
        "subject": token.subject,
        "client_id": token.client_id,
        "actor": token.actor,
        "audience": token.audience,
        "scope": sorted(token.scope),
        "token_id": token.public_id,
        "txn": token.txn,
    }
