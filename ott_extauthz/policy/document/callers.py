"""What does a route's author write about callers that come in by their certificate alone?"""

from typing import Annotated

from pydantic import AfterValidator, Field

from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.policy.document.words import Rule, Sha256, SpiffeId, checked, distinct, is_dns_name
from ott_extauthz.policy.terms import CertificateTerms


class CertificateRule(Rule):
    """Which callers come in by their certificate alone; one of all that are listed is enough."""

    spiffe_ids: Annotated[list[SpiffeId], Field(min_length=1), AfterValidator(distinct)] | None = None
    """Workloads, each in full."""
    sha256: Annotated[list[Sha256], Field(min_length=1), AfterValidator(distinct)] | None = None
    """Certificates, by their SHA-256 in hexadecimal digits."""
    dns: (
        Annotated[
            list[Annotated[str, checked(is_dns_name, "a DNS name in lower case, without wildcard")]],
            Field(min_length=1),
            AfterValidator(distinct),
        ]
        | None
    ) = None
    """DNS names of certificates (SAN), each in full."""

    def compiled(self) -> CertificateTerms:
        """Return them as the check wants them."""
        return CertificateTerms(
            spiffe_ids=None if self.spiffe_ids is None else frozenset(self.spiffe_ids),
            certificates=None
            if self.sha256 is None
            else frozenset(Thumbprint(bytes.fromhex(digest)) for digest in self.sha256),
            dns_names=None if self.dns is None else frozenset(self.dns),
        )
