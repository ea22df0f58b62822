"""Does a policy ask for signed requests that no partner can send?

Judged against ``partners.yaml`` as it stands, not against what is in force: both may be changed at once.  The other way
round nothing is judged: a partner that is taken out stops at once, whatever a policy still names.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ott_extauthz.authn.partner_document import PartnerEntries, PartnerEntry
from ott_extauthz.authn.partners import MOST_KEYS_OF_A_ROUTE, SignatureForm
from ott_extauthz.authn.webhooks import stamped, standard
from ott_extauthz.bootstrap.partner_files import read_partner_entries
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.policy.routes import Route
from ott_extauthz.policy.terms import SignedRequestTerms

_WITHOUT_PARTNERS: Final = (
    "asks for signed requests, and nobody could sign one: ott.yaml has no partners, read at the start only"
)
_SIGNED_HEADERS: Final = {
    SignatureForm.HMAC: frozenset({stamped.TIMESTAMP, stamped.NONCE}),
    SignatureForm.EDDSA: frozenset({stamped.TIMESTAMP, stamped.NONCE}),
    SignatureForm.STANDARD_WEBHOOKS: frozenset({standard.ID, standard.TIMESTAMP}),
}
"""The headers that a form signs, where it does not say so itself."""


def known_partners(path: Path | None) -> PartnerEntries | None:
    """Return the partners that can be named; None where there is no file, or none that can be judged: it tells why."""
    if path is None:
        return {}
    try:
        return read_partner_entries(path)[0]
    except DocumentError:
        return None


def partner_lacks(route: Route, partners: PartnerEntries | None) -> Iterator[str]:
    """Yield what a route asks for and partners lack, one line each."""
    if partners is None:
        return
    for terms in (asks.signed for asks in route.parts if asks.signed is not None):
        if not partners:
            yield _WITHOUT_PARTNERS
            continue
        for name in sorted((terms.partners or frozenset()) - partners.keys()):
            yield f"signed_request.partners: partners.yaml has no {name}"
        named = partners if terms.partners is None else terms.partners & partners.keys()
        yield from _of_its_partners(terms, [partners[name] for name in sorted(named)])


def _of_its_partners(terms: SignedRequestTerms, entries: list[PartnerEntry]) -> Iterator[str]:
    header = None if terms.event is None else terms.event.header
    for entry in entries:
        signed = _SIGNED_HEADERS.get(entry.form)
        if header is not None and signed is not None and header not in signed:
            yield f"signed_request.event.header: the form {entry.form} of {entry.name} does not sign {header}"
        if terms.components and entry.form is not SignatureForm.HTTP_SIGNATURES:
            yield f"signed_request.components: the form {entry.form} of {entry.name} has none"
        if terms.tag is not None and entry.form is not SignatureForm.HTTP_SIGNATURES:
            yield f"signed_request.tag: the form {entry.form} of {entry.name} has none"
    keys = Counter[SignatureForm]()
    for entry in entries:
        keys[entry.form] += len(entry.keys)
    for form, count in keys.items():
        if count > MOST_KEYS_OF_A_ROUTE and form is not SignatureForm.HTTP_SIGNATURES:
            most = f"at most {MOST_KEYS_OF_A_ROUTE}"
            yield f"signed_request.partners: {count} keys of the form {form} would be tried for one request, {most}"
