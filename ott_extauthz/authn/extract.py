"""Where is the credential?  Exactly one value in exactly one header, or a refusal (CVE-2021-32777)."""

from dataclasses import dataclass, field

from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection


@dataclass(frozen=True, slots=True)
class PresentedCredential:
    """A credential as it came, and the header it came in (which is removed before the upstream).

    ``headers_to_set`` stand in place of a header that carried other things too.
    """

    text: str = field(repr=False)
    header: str
    headers_to_set: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def is_presented_in(headers: Headers, *, header: str, scheme: str | None) -> bool:
    """Whether ``header`` brings a credential, good or bad, under ``scheme`` where one is asked for."""
    values = headers.get(header, ())
    return any(scheme is None or scheme.lower() in schemes_in(value) for value in values)


def schemes_in(value: str) -> frozenset[str]:
    """Return the authentication schemes in a header's value, in lower case: of each line that a proxy joined to it."""
    return frozenset(part.strip().partition(" ")[0].lower() for part in value.split(","))


def presented_in(headers: Headers, *, header: str, scheme: str | None) -> PresentedCredential | Rejection:
    """Return the one credential in ``header``, under ``scheme`` where one is asked for."""
    values = headers.get(header, ())
    if not values:
        return Rejection(Reason.CREDENTIAL_MISSING)
    # Envoy joins repeated headers with a comma in merged mode, and `Authorization` always.
    if len(values) > 1 or "," in values[0]:
        return Rejection(Reason.CREDENTIAL_DUPLICATED)
    if scheme is None:
        return PresentedCredential(values[0], header) if values[0] else Rejection(Reason.CREDENTIAL_MISSING)
    given, _, text = values[0].partition(" ")
    if given.lower() != scheme.lower():
        return Rejection(Reason.CREDENTIAL_SCHEME_REFUSED)
    return PresentedCredential(text, header) if text else Rejection(Reason.CREDENTIAL_MISSING)
