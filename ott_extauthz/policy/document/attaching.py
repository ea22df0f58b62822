"""What does a route's author write about what is put on requests: a token, or a signature?

A route either checks (``credential``) or attaches (``attach``).  An attaching route is about a request that leaves: it
asks its local workload for nothing, so whatever would guard a call in a checking route would guard nothing here.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, model_validator

from ott_extauthz.policy.document.words import CredentialHeader, Rule, Scheme
from ott_extauthz.policy.limits import Bound
from ott_extauthz.policy.routes import Attachment


def _one_of_them(value: object) -> object:
    if isinstance(value, list):
        raise ValueError("a route attaches one thing: a token or a signature, never both")  # noqa: TRY004 - bad value
    return value


AttachedKind = Annotated[Literal["one_time_token", "signed_request"], BeforeValidator(_one_of_them)]

FOR_CHECKS_ONLY: Final = (
    "bound_to", "unbound", "clients", "roles", "max_auth_age", "from", "brand", "amount", "constraints", "mode",
    "reservation", "all_of", "any_of", "issuers", "verified_by", "signed_request", "certificate",
)  # fmt: skip
"""The keys of a route that mean nothing where no credential is asked for and none is spent."""

READABLE: Final = ("request.", "mesh.")
"""What a condition of an attaching route may look at: there is no token yet, and no peer but the local workload."""


def _carries_no_credential_of_the_workload(header: str) -> str:
    if header in ("x-api-key", "proxy-authorization"):
        raise ValueError("this header carries a credential of the workload's own, which the token would replace")
    return header


class ToRule(Rule):
    """Where the token is put; what the workload sent under this name is thrown away."""

    header: Annotated[CredentialHeader, AfterValidator(_carries_no_credential_of_the_workload)] = "x-ott"
    """The header that will carry the token."""
    scheme: Scheme | None = None
    """The authentication scheme before the token, as in `Authorization: Bearer …`; absent = the bare token."""

    @model_validator(mode="after")
    def _authorization_has_a_scheme(self) -> "ToRule":
        if self.header == "authorization" and self.scheme is None:
            raise ValueError("authorization needs a scheme (RFC 9110 §11.6.2); write scheme: Bearer")
        if self.scheme is not None and self.scheme.lower() == "dpop":
            raise ValueError("a DPoP token goes with a proof, which only its holder can make; write scheme: Bearer")
        return self


def attachment_from(
    audience: str | None, scopes: Sequence[str] | None, bound: Sequence[str] | None, to: ToRule
) -> Attachment:
    """Return what an attaching route puts on its requests; ``audience`` was seen to be there."""
    return Attachment(
        audience=audience or "",
        scope=None if scopes is None else frozenset(scopes),
        bound_to_request=frozenset(map(Bound, bound or ())),
        header=to.header,
        scheme=to.scheme,
    )


def unreadable(variables: frozenset[str]) -> Iterator[str]:
    """Yield what a condition names although an attaching route has no such thing."""
    return (name for name in sorted(variables) if not name.startswith(READABLE))
