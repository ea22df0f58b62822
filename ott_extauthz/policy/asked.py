"""What is asked, as the rules of a policy see it?"""

from dataclasses import dataclass, field

from ott_extauthz.model.facts import Facts
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.clients import ClientList
from ott_extauthz.policy.target import CanonicalTarget
from ott_extauthz.ports import AsnLookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One request that leaves, at one instant, at a server of ``region`` (None: not said); there is no token yet.

    ``asn_of`` is None where the server has no table of networks.
    """

    facts: Facts
    target: CanonicalTarget
    now_ms: int
    policy_revision: str
    region: str | None = None
    asn_of: AsnLookup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Outgoing):
    """One request that came, with its verified and bound token.

    ``clients`` is the policy's list of them; None where it has none.
    """

    token: VerifiedToken = field(repr=False)
    clients: ClientList | None = None
