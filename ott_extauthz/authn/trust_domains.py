"""Did the caller's own trust domain sign its SPIFFE ID?

Envoy verifies certificates against all authorities that it was given, and any of them can sign any SPIFFE ID: the
partner's authority one of ours, too.  Here a certificate counts only under the bundle of the domain that it names.

The list is closed: a SPIFFE ID of a domain that is not listed is not proven.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, VerificationError

from ott_extauthz.authn.certificate_names import UNREADABLE, names_in
from ott_extauthz.authn.trust_bundle import TrustBundle

MAX_CHAIN: Final = 4
_KEPT: Final = 2048  # certificates: verifying one costs 200 µs
_REFUSED_FOR_MS: Final = 10_000
"""A refusal is looked at again: an authority may be valid only from now on."""

# SPIFFE asks for no key identifiers; everything else of RFC 5280 stays as the library has it: CA:FALSE, clientAuth
# where usages are named, the path length, no unknown critical extension, strong keys and hashes.
_LEAF: Final = ExtensionPolicy.webpki_defaults_ee().may_be_present(
    x509.AuthorityKeyIdentifier, Criticality.AGNOSTIC, None
)
_AUTHORITY: Final = ExtensionPolicy.webpki_defaults_ca()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    bundle: TrustBundle | None
    is_proven: bool
    from_ms: int
    until_ms: int

    def holds(self, bundle: TrustBundle | None, now_ms: int) -> bool:
        return self.bundle is bundle and self.from_ms <= now_ms <= self.until_ms


@dataclass(slots=True)
class TrustDomains:
    """The trust domains and their bundles, which may be replaced under way; what was judged is remembered.

    A verdict is good as long as its bundle is the one in force and every certificate of the chain holds.
    """

    bundles: Mapping[str, TrustBundle]
    now_ms: Callable[[], int]
    _verdicts: OrderedDict[bytes, _Verdict] = field(default_factory=OrderedDict)

    def proves(self, der: bytes) -> bool:
        """Whether the certificate has a SPIFFE ID, and an authority of that very trust domain signed it."""
        now_ms, names = self.now_ms(), names_in(der)
        if names is None or names.trust_domain is None:
            return False
        bundle = self.bundles.get(names.trust_domain)
        known = self._verdicts.get(der)
        if known is None or not known.holds(bundle, now_ms):
            known = self._verdicts[der] = _judged(der, bundle, now_ms)
            if len(self._verdicts) > _KEPT:
                self._verdicts.popitem(last=False)
        return known.is_proven

    def proves_principal(self, principal: str, der: bytes | None) -> bool:
        """Whether this is the SPIFFE ID of that certificate, and proven."""
        names = None if der is None else names_in(der)
        return der is not None and names is not None and names.spiffe_id == principal and self.proves(der)


def _judged(der: bytes, bundle: TrustBundle | None, now_ms: int) -> _Verdict:
    chain = None if bundle is None else _chain(der, bundle, now_ms)
    if chain is None:
        return _Verdict(bundle=bundle, is_proven=False, from_ms=now_ms, until_ms=now_ms + _REFUSED_FOR_MS)
    begin = max(each.not_valid_before_utc for each in chain).timestamp()
    end = min(each.not_valid_after_utc for each in chain).timestamp()
    return _Verdict(bundle=bundle, is_proven=True, from_ms=int(begin) * 1000, until_ms=int(end) * 1000)


def _chain(der: bytes, bundle: TrustBundle, now_ms: int) -> list[x509.Certificate] | None:
    """Return the certificates from the caller's to an authority's, or None where there is no such chain."""
    if bundle.store is None:
        return None
    verifier = (
        PolicyBuilder()
        .store(bundle.store)
        .time(datetime.fromtimestamp(now_ms / 1000, UTC))
        .max_chain_depth(MAX_CHAIN)
        .extension_policies(ca_policy=_AUTHORITY, ee_policy=_LEAF)
        .build_client_verifier()
    )
    try:
        return verifier.verify(x509.load_der_x509_certificate(der), list(bundle.authorities)).chain
    except (VerificationError, *UNREADABLE):
        return None
