"""What does a client send to the token endpoint, and who is it once it is known?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.model.facts import Thumbprint

Form = Mapping[str, Sequence[str]]
"""A decoded form: each name with every value it came with, in order."""

REPEATABLE = frozenset({"resource", "audience"})  # RFC 8707 §2, RFC 8693 §2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """One token request, nothing of it believed.

    ``certificate`` is what TLS, or a trusted proxy, verified; ``authorization`` and ``dpop`` are those headers as they
    came, every one of them.  ``address`` is the network that the peer calls from: only for counting its failures.
    ``trace_id`` names its trace, for whoever follows it through logs.
    """

    form: Form = field(repr=False)
    certificate: PresentedCertificate | None
    authorization: tuple[str, ...] = field(default=(), repr=False)
    dpop: tuple[str, ...] = field(default=(), repr=False)
    address: str | None = None
    trace_id: str | None = None
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """An authenticated client, and what its token will be bound to: its certificate, its DPoP key, or both.

    ``certificate`` has names only where it is what authenticated the client, and an authority vouches for it.
    """

    client: Client
    certificate: PresentedCertificate | None = None
    jkt: Thumbprint | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Who it is in a token: a workload by its own name, so that `bound_to: [workload]` outlives its certificate."""
        return (self.certificate and self.certificate.spiffe_id) or self.client.client_id

    @property
    def thumbprint(self) -> Thumbprint | None:
        """Its certificate's."""
        return None if self.certificate is None else self.certificate.sha256


def values(form: Form, name: str) -> list[str]:
    """Return what was sent under ``name``; a parameter without a value counts as not sent (RFC 6749 §3.2)."""
    return [value for value in form.get(name, ()) if value]


def value(form: Form, name: str) -> str | None:
    """Return the one value of ``name``; None where it was not sent.  :func:`doubled` has refused a second one."""
    return next(iter(values(form, name)), None)


def doubled(form: Form) -> OAuthError | None:
    """Return the refusal of a form that says something twice (RFC 6749 §3.2)."""
    if any(len(sent) > 1 for name, sent in form.items() if name not in REPEATABLE):
        return invalid_request("a parameter stands twice")
    return None


def invalid_request(description: str) -> OAuthError:
    """Return the refusal of a request that is not formed as it must be."""
    return OAuthError(OAuthErrorCode.INVALID_REQUEST, description)
