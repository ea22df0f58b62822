"""Which certificate would be believed, going by X-Forwarded-Client-Cert alone?"""

from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.wire.xfcc import caller_element


def caller_thumbprint(
    values: tuple[str, ...], *, trusted_hops: int, hop_identities: frozenset[str], exact_hops: bool = False
) -> Thumbprint | Reason:
    """Return the thumbprint in the caller's element, or why there is none."""
    element = caller_element(values, trusted_hops=trusted_hops, hop_identities=hop_identities, exact_hops=exact_hops)
    if isinstance(element, Reason):
        return element
    return Reason.CERTIFICATE_MISSING if element.hash is None else Thumbprint(element.hash)
