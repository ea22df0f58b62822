"""Partners that sign requests, and what they send; honest ones, until a test changes it."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from nacl.signing import SigningKey

from ott_extauthz.authn.keys import Ed25519Key
from ott_extauthz.authn.partner_keys import PublicKey
from ott_extauthz.authn.partners import KeyAlgorithm, Partner, PartnerKey, SharedSecret, SignatureForm
from ott_extauthz.authn.webhooks.stamped import stamped_content, stamped_headers
from ott_extauthz.authn.webhooks.standard import standard_content, standard_headers
from ott_extauthz.model.facts import Headers

BODY: Final = b'{"event":{"id":"evt-1"},"amount":"12.50"}'
NONCE: Final = "0123456789abcdef"
SECRET, OLD_SECRET, OTHER_SECRET = (
    b"a secret of the two of us, 1",
    b"a secret of the two of us, 0",
    b"a secret of another one",
)
SIGNING_KEY: Final = SigningKey(b"\x07" * 32)
PUBLIC_KEY: Final = PublicKey(key=Ed25519Key(SIGNING_KEY.verify_key), algorithm=KeyAlgorithm.ED25519)

Lines = tuple[tuple[str, str], ...]


def partner(name: str, form: SignatureForm, *keys: PartnerKey, scopes: Iterable[str] = ()) -> Partner:
    """A partner who calls as the client of the same name."""
    return Partner(name=name, client_id=f"client-{name}", form=form, keys=keys, scopes=frozenset(scopes))


def by_name(*partners: Partner) -> Mapping[str, Partner]:
    """These partners."""
    return {each.name: each for each in partners}


PSP: Final = partner("psp", SignatureForm.HMAC, SharedSecret(secret=SECRET), SharedSecret(secret=OLD_SECRET))
LAB: Final = partner("lab", SignatureForm.EDDSA, PUBLIC_KEY)
HOOK: Final = partner("hook", SignatureForm.STANDARD_WEBHOOKS, SharedSecret(secret=OTHER_SECRET + b", longer"))
HOOK_SECRET: Final = OTHER_SECRET + b", longer"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request as a partner signs it."""

    at_ms: int
    form: SignatureForm = SignatureForm.HMAC
    name: str = NONCE
    body: bytes = BODY
    secret: bytes = field(default=SECRET, repr=False)
    timestamp: str | None = None

    @property
    def stamp(self) -> str:
        return str(self.at_ms // 1000) if self.timestamp is None else self.timestamp

    @property
    def lines(self) -> Lines:
        """The headers that sign it."""
        if self.form is SignatureForm.STANDARD_WEBHOOKS:
            content = standard_content(self.name, self.stamp, self.body)
            mac = hmac.digest(self.secret, content, "sha256")
            return standard_headers(self.name, self.stamp, (KeyAlgorithm.HMAC_SHA256, mac))
        content = stamped_content(self.stamp, self.name, self.body)
        is_hmac = self.form is SignatureForm.HMAC
        signature = hmac.digest(self.secret, content, "sha256") if is_hmac else SIGNING_KEY.sign(content).signature
        return stamped_headers(self.form, self.stamp, self.name, signature)


def gathered(*lines: tuple[str, str]) -> Headers:
    """Header lines as facts have them."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in lines:
        found[name] = (*found.get(name, ()), value)
    return found


def changed(lines: Lines, **changes: str | None) -> Lines:
    """The same lines, some of them with another value, or (None) left out; `_` stands for `-`."""
    new = {name.replace("_", "-"): value for name, value in changes.items()}
    kept = [(name, new.get(name, value)) for name, value in lines]
    return tuple((name, value) for name, value in kept if value is not None)
