"""What does the issuer write down?  One JSON line for every token, refusal, turn of a key and change of the clients.

No token, ``jti``, assertion, secret or proof is ever in it: a token shows as its digest, by which the Check server's
audit knows it too.
"""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.issuer.key_change import KeyChange
from ott_extauthz.issuer.oauth_error import OAuthErrorCode
from ott_extauthz.issuer.order import MintOrder, ring_title
from ott_extauthz.issuer.trail import Minting, NoTrail, Refusal
from ott_extauthz.observe.audit import instant
from ott_extauthz.observe.audit_file import Rotation
from ott_extauthz.observe.line_file import OURS_ALONE, LineCounts, LineFile
from ott_extauthz.ports import Clock

FORMAT_VERSION: Final = 1
ISSUER_MEANINGS: Final = MappingProxyType(
    {
        "v": "Version of this format: 1.",
        "at": "When the request arrived, or the event happened, UTC, milliseconds.",
        "event": "`minted`, `refused`, `authentication_limited`, `key_changed`, `ring_failed`, `clients_changed`.",
        "trace_id": "The W3C trace that the request named, or that was begun for it; what a client writes there proves nothing.",  # noqa: E501
        "door": "Where the request came in: `token`, `introspect` or `grpc`.",
        "client_id": "The client, once it is authenticated; of `authentication_limited` the client of ours whose name was used.",  # noqa: E501
        "method": "How the client authenticated: `tls_client_auth`, `private_key_jwt` and so on.",
        "grant_type": "The grant type by which the token was had.",
        "audience": "`aud` of the token.",
        "kind": "`typ` of the token: `ott+jwt`, `at+jwt`, `txntoken+jwt`.",
        "scope": "The scopes of the token, sorted.",
        "subject": "`sub` of the token.",
        "actor": "Who acts for the subject: `act.sub`, the outermost.",
        "bound_to": "What the token is bound to, as its `cnf` has it: `x5t#S256`, `jkt`; null where nothing but its subject.",  # noqa: E501
        "count": "How many tokens: of a batch, all in this line.",
        "token_ids": "Digests of issuer and `jti`, each the `token_id` of the Check server's audit.",
        "expires_at": "When the token ends, UTC, milliseconds; of a batch all at once.",
        "ring": "The ring whose key signed, changed, or whose work failed.",
        "kid": "The key.",
        "key_before": "The state that a key left; null where it was made.",
        "key_after": "The state that it has now: `next`, `active`, `retiring`, `retired`.",
        "error": "Why nothing was minted: the OAuth error code of the answer.",
        "detail": "The error's description, a text of ours; or what keeps a ring from being followed.",
        "added": "Clients that `clients.yaml` has now and had not before.",
        "removed": "Clients that it has no longer.",
        "changed": "Clients whose entry, or file, is another now.",
    }
)
"""Every field of a line, always present, in this order; one that does not apply is null."""


class IssuerAuditFile:
    """Appends what the issuer does to one file that nobody else may read.

    With ``required`` a token that cannot be written down raises AuditError, and nobody gets it; whatever else cannot
    be is counted.
    """

    def __init__(  # noqa: PLR0913 - each by its name, from the one composition root
        self,
        path: Path | Literal["-"],
        *,
        required: bool,
        counts: LineCounts,
        clock: Clock,
        rotation: Rotation | None = None,
        tell: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        """Open the file; ``-`` is the standard output.

        Raises:
            OSError: it cannot be opened.
        """
        self._file = LineFile.at(path, mode=OURS_ALONE, counts=counts, rotation=rotation, tell=tell)
        self._required = required
        self._clock = clock

    def minted(self, minting: Minting) -> None:
        """Write down tokens, before anybody has them.

        Raises:
            AuditError: they are not in the file, and had to be.
        """
        self._file.write(_minted(minting), required=self._required)

    def refused(self, refusal: Refusal) -> None:
        """Write down a refusal."""
        error = refusal.error
        self._tell(
            refusal.at_ms, "refused", trace_id=refusal.trace_id, door=refusal.door, client_id=error.client_id,
            error=error.error, detail=error.description,
        )  # fmt: skip

    def authentication_limited(self, client: str | None, *, trace_id: str | None = None) -> None:
        """Write down that somebody failed so often that nothing was looked at."""
        self._tell(self._clock.now_ms(), "authentication_limited", trace_id=trace_id, client_id=client)

    def key_changed(self, change: KeyChange) -> None:
        """Write down a key's new state."""
        self._tell(
            self._clock.now_ms(), "key_changed", ring=ring_title(change.ring), kid=change.kid,
            key_before=change.before, key_after=change.after,
        )  # fmt: skip

    def ring_failed(self, ring: str, problem: str) -> None:
        """Write down what keeps a ring from being followed or turned."""
        self._tell(self._clock.now_ms(), "ring_failed", ring=ring_title(ring), detail=problem)

    def clients_changed(self, *, added: tuple[str, ...], removed: tuple[str, ...], changed: tuple[str, ...]) -> None:
        """Write down whose entries changed: names only."""
        self._tell(self._clock.now_ms(), "clients_changed", added=added, removed=removed, changed=changed)

    def reopen(self) -> None:
        """Go on in the file of our name, where somebody moved the one that is open."""
        self._file.reopen()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _tell(self, at_ms: int, event: str, **fields: object) -> None:
        self._file.write(_line(at_ms, event, fields), required=False)


class NoIssuerAudit(NoTrail):
    """Writes nothing down; for issuers configured without ``audit``."""

    def authentication_limited(self, client: str | None, *, trace_id: str | None = None) -> None:
        """Do nothing with ``client``."""

    def key_changed(self, change: KeyChange) -> None:
        """Do nothing with ``change``."""

    def ring_failed(self, ring: str, problem: str) -> None:
        """Do nothing with ``problem``."""

    def clients_changed(self, *, added: tuple[str, ...], removed: tuple[str, ...], changed: tuple[str, ...]) -> None:
        """Do nothing with these names."""

    def reopen(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class AuditedEvents:
    """Has an audit hear of what happens beside requests; tokens and refusals are written where they are made."""

    def __init__(self, audit: IssuerAuditFile | NoIssuerAudit) -> None:
        self._audit = audit

    def issued(self, client: str, audience: str, count: int = 1, *, trace_id: str | None = None) -> None:
        """Do nothing: it is written down already."""

    def refused(self, client: str | None, error: OAuthErrorCode, *, trace_id: str | None = None) -> None:
        """Do nothing: it is written down already."""

    def key_changed(self, change: KeyChange) -> None:
        """Write down a change; what a ring held at the start is none."""
        if change.is_news:
            self._audit.key_changed(change)

    def ring_failed(self, ring: str, problem: str) -> None:
        """Write down a failure."""
        self._audit.ring_failed(ring, problem)

    def authentication_failed(self, client: str | None, *, is_limited: bool, trace_id: str | None = None) -> None:
        """Write down what was not even looked at; another failure is a refusal, written down as one."""
        if is_limited:
            self._audit.authentication_limited(client, trace_id=trace_id)

    def faulted(self, error_type: str) -> None:
        """Do nothing: logged and counted."""


def _minted(minting: Minting) -> dict[str, Any]:
    order, first = minting.order, minting.tokens[0]
    fields = {
        "trace_id": minting.trace_id,
        "door": minting.door,
        "client_id": order.client_id,
        "method": minting.method,
        "grant_type": minting.grant_type,
        "audience": order.audience,
        "kind": order.kind,
        "scope": sorted(order.scope),
        "subject": order.subject,
        "actor": None if order.act is None else order.act.get("sub"),
        "bound_to": _bound_to(order),
        "count": len(minting.tokens),
        "token_ids": [token.public_id for token in minting.tokens],
        "expires_at": instant(first.expires_at_ms),
        "ring": ring_title(order.ring),
        "kid": first.kid,
    }
    return _line(minting.at_ms, "minted", fields)


def _bound_to(order: MintOrder) -> dict[str, str] | None:
    digests = {"x5t#S256": order.thumbprint, "jkt": order.jkt}
    return {name: encoded(digest) for name, digest in digests.items() if digest is not None} or None


def _line(at_ms: int, event: str, fields: dict[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = dict.fromkeys(ISSUER_MEANINGS)
    return line | {"v": FORMAT_VERSION, "at": instant(at_ms), "event": event} | fields
