"""API keys for the tests: as they are handed out, and as they are kept."""

from ott_extauthz.authn.api_key_form import NewKey, new_key
from ott_extauthz.authn.api_keys import ApiKey
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.mandate import Constraints
from tests.fakes.issuer import NOW_MS

DAY_MS = 86_400_000


def made(number: int = 1, prefix: str = "ottkey") -> NewKey:
    """The key of this number, always the same one."""
    return new_key(prefix, lambda count: bytes([number]) * count)


def kept(
    key: NewKey,
    *,
    client_id: str = "rgs",
    expires_at_ms: int = NOW_MS + 90 * DAY_MS,
    limits: Constraints | None = None,
    certificate: Thumbprint | None = None,
) -> ApiKey:
    """What is kept of a key."""
    return ApiKey(
        id=key.id, digest=key.digest, client_id=client_id, scopes=frozenset({"wallet:debit"}),
        created_at_ms=NOW_MS - DAY_MS, expires_at_ms=expires_at_ms, limits=limits, certificate=certificate,
    )  # fmt: skip
