"""What do we answer?  Allow or Deny; there is no third, and no default that allows."""

from dataclasses import dataclass, field

from ott_extauthz.model.challenge import Challenge
from ott_extauthz.model.reason import REASONS, Meaning, Reason
from ott_extauthz.model.rejection import TokenState
from ott_extauthz.model.replay import FirstSpender
from ott_extauthz.model.token import VerifiedToken


@dataclass(frozen=True, slots=True)
class SpentToken:
    """Evidence that this very Check spent this token, or took what this use of a mandate costs.

    Only ``check.single_use`` makes one.
    """

    token: VerifiedToken


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedToken:
    """A fresh token that goes out with the request, and the header that carries it.

    ``public_id`` is what the receiver will show as ``x-ott-token-id``, ``certificate`` the thumbprint that it is bound
    to (``x5t#S256``); None where the token's claims cannot be read, or name none.
    """

    text: str = field(repr=False)
    header: str
    scheme: str | None
    audience: str
    public_id: str | None
    certificate: str | None = None

    @property
    def header_value(self) -> str:
        """The header's whole value: a secret until the token is spent."""
        return self.text if self.scheme is None else f"{self.scheme} {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedSignature:
    """What signs the request that goes out: the headers, and which key made them, by its name in ``ott.yaml``.

    ``form`` is how it signs; ``keyid`` is what the signature calls the key, None where its form has no word for it.
    """

    key: str
    form: str
    keyid: str | None
    headers: tuple[tuple[str, str], ...] = field(repr=False)


Attached = AttachedToken | AttachedSignature
"""What an attaching route puts on a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """The request may go on.  ``spent`` is None only on a public or attaching route, or where nothing is enforced.

    ``credential`` is the kind that proved the caller.
    ``headers_to_keep`` are the spent credential's, where the route leaves it to a second filter; they win over removal.
    ``headers_to_set`` replace what the client sent (a cookie header without the spent one), ``response_headers`` go
    back to the client with the upstream's answer.
    ``attached`` is what an attaching route puts on the request; nobody's identity goes with it.
    ``would_be`` is what a route in shadow would have answered; the request goes on whatever it says, and
    nobody's identity goes with it, for nothing was spent.
    """

    decision_id: str
    route: str
    policy_revision: str
    spent: SpentToken | None
    credential: str | None = None
    headers_to_remove: tuple[str, ...] = ()
    headers_to_keep: tuple[str, ...] = ()
    headers_to_set: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    response_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    attached: Attached | None = None
    would_be: "Decision | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """The request stops here, and why.  ``token_state`` is None where no token took part.

    ``credential`` is the kind that was judged last, None where it did not come so far.  ``status`` is the HTTP status
    of the answer: its reason's, unless the route has another for it.
    """

    decision_id: str
    reason: Reason
    policy_revision: str
    route: str | None = None
    credential: str | None = None
    token: VerifiedToken | None = None
    token_state: TokenState | None = None
    challenges: tuple[Challenge, ...] = ()
    dpop_nonce: str | None = field(default=None, repr=False)
    own_status: int | None = None
    retry_after_seconds: int | None = None
    first: FirstSpender | None = None
    detail: str | None = None

    @property
    def meaning(self) -> Meaning:
        """The reason's family, status and text."""
        return REASONS[self.reason]

    @property
    def status(self) -> int:
        """The HTTP status that the client sees."""
        return self.own_status or self.meaning.status


Decision = Allow | Deny
