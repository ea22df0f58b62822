"""Who stands at the token endpoint?  A TLS client certificate, in the words that clients are matched by."""

from dataclasses import dataclass, replace

from ott_extauthz.authn.certificate_names import SPIFFE_ID, claims_spiffe
from ott_extauthz.authn.claims import MAX_TEXT
from ott_extauthz.model.facts import Thumbprint


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedCertificate:
    """A certificate whose key the peer has proven to hold.

    TLS has verified it: by its chain, or because that very certificate is listed.
    """

    sha256: Thumbprint
    uris: tuple[str, ...]
    dns: tuple[str, ...]
    subject_dn: str
    not_after_ms: int

    @property
    def spiffe_id(self) -> str | None:
        """The workload it names; None for a certificate that is no X.509-SVID."""
        return self.uris[0] if self.is_sound and self.uris and claims_spiffe(self.uris[0]) else None

    @property
    def nameless(self) -> "PresentedCertificate":
        """The same key without the names: all that counts where no authority of ours has vouched for them."""
        return replace(self, uris=(), dns=(), subject_dn="")

    @property
    def is_sound(self) -> bool:
        """Whether it names at most one workload, and that one by the grammar.

        A SPIFFE ID must be the only URI SAN (X.509-SVID §2): with two, Envoy's ``source.principal`` and our ``sub``
        could be different workloads of one certificate.
        """
        if not any(claims_spiffe(uri) for uri in self.uris):
            return True
        return len(self.uris) == 1 and is_spiffe_id(self.uris[0])


def is_spiffe_id(text: str) -> bool:
    """Whether ``text`` is a workload's SPIFFE ID short enough for a claim that the Check server accepts."""
    return len(text) <= MAX_TEXT and SPIFFE_ID.fullmatch(text) is not None
