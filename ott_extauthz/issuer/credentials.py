"""By what are clients known?  The keys, certificates and secrets' hashes they have registered, as read from files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ott_extauthz.authn.keys import VerificationKey
from ott_extauthz.issuer.client_secret import SecretHashes
from ott_extauthz.model.facts import Thumbprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What ``clients.yaml`` refers to, by ``client_id``.

    ``self_signed`` says whose each listed certificate is.  Such a certificate is good for that one client: whatever
    names its owner wrote into it, nobody has vouched for them.
    """

    keys: Mapping[str, Mapping[str, VerificationKey]] = field(default_factory=dict)
    self_signed: Mapping[Thumbprint, str] = field(default_factory=dict)
    secrets: Mapping[str, SecretHashes] = field(default_factory=dict)
