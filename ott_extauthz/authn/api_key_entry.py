"""What does one entry of ``api-keys.yaml`` say?  A key's hash, whose it is, what it may do, from where, until when."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from ott_extauthz.authn.api_key_form import ID
from ott_extauthz.authn.api_keys import ApiKey
from ott_extauthz.documents.validated import Model
from ott_extauthz.model.addresses import Network, network_from
from ott_extauthz.model.constraint_forms import MOST_VALUES, names_from
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.mandate import Constraints

T = TypeVar("T")

LONGEST_LIFE_MS: Final = 731 * 86_400_000
"""Two years: an end further away than anybody plans is none."""

_WORD: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}", re.ASCII)  # RFC 6749 §3.3
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ORIGIN: Final = "api_key"


def _fits(pattern: re.Pattern[str], complaint: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(complaint)
        return value

    return AfterValidator(check)


def _told(read: Callable[[object], T]) -> BeforeValidator:
    """Return a validator that keeps the text, once it is known to be readable."""

    def check(value: Any) -> Any:  # noqa: ANN401 - whatever stood in the file
        read(value)
        return value

    return BeforeValidator(check)


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands twice")
    return values


def instant_from(value: object) -> int:
    """Read an instant, in milliseconds.

    Raises:
        ValueError: it is none, or does not say in which zone.
    """
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValueError("an instant is written 2027-02-28T12:00:00Z")
    return round(instant.timestamp() * 1000)


def instant_text(at_ms: int) -> str:
    """Return an instant as it is written, in whole seconds."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_Word = Annotated[str, _fits(_WORD, "1 to 128 visible ASCII characters without quotes and backslashes (RFC 6749)")]
_Digest = Annotated[str, _fits(_SHA256, "a SHA-256 as 64 hexadecimal digits in lower case")]
_Instant = Annotated[str, _told(instant_from)]
_Words = Annotated[list[_Word], Field(max_length=MOST_VALUES), AfterValidator(_distinct)]
_Networks = Annotated[
    list[Annotated[str, _told(network_from)]], Field(min_length=1, max_length=MOST_VALUES), AfterValidator(_distinct)
]
_Brands = Annotated[
    list[Annotated[str, _told(names_from)]], Field(min_length=1, max_length=MOST_VALUES), AfterValidator(_distinct)
]


class KeyEntry(Model):
    """One API key: its hash, whose it is, what it may do, from where, and until when."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: Annotated[str, _fits(ID, "an id is 11 letters and digits, made by `ott-extauthz api-keys create`")]
    """The key's public name: what stands between the prefix and the dot."""
    sha256: _Digest = Field(repr=False)
    """SHA-256 of the whole key."""
    client_id: _Word
    """Who calls with it; the policy's `clients` name it."""
    created: _Instant
    """When it was made."""
    expires: _Instant
    """From when on it is good no more; at most two years after it was made."""
    scopes: _Words = Field(default=[])
    """What it may do."""
    cidr: _Networks | None = None
    """The networks that it may come from; absent = any."""
    brands: _Brands | None = None
    """The brands that it is for, where the route says where a request names its brand; absent = any."""
    certificate: _Digest | None = None
    """SHA-256 of the one client certificate that it may come with; absent = any, or none."""
    note: Annotated[str, Field(max_length=200)] | None = None
    """A word for the operators."""

    @field_validator("expires")
    @classmethod
    def _ends(cls, value: str, found: ValidationInfo) -> str:
        created = found.data.get("created")
        if created is not None and not 0 <= instant_from(value) - instant_from(created) <= LONGEST_LIFE_MS:
            raise ValueError("before it was made, or more than 731 days after")
        return value

    def compiled(self) -> ApiKey:
        """Return the key as the check wants it."""
        return ApiKey(
            id=self.id,
            digest=bytes.fromhex(self.sha256),
            client_id=self.client_id,
            scopes=frozenset(self.scopes),
            created_at_ms=instant_from(self.created),
            expires_at_ms=instant_from(self.expires),
            limits=self._limits(),
            certificate=None if self.certificate is None else Thumbprint(bytes.fromhex(self.certificate)),
            note=self.note,
        )

    def _limits(self) -> Constraints | None:
        if self.cidr is None and self.brands is None:
            return None
        networks: tuple[Network, ...] | None = None if self.cidr is None else tuple(map(network_from, self.cidr))
        brands = None if self.brands is None else frozenset(self.brands)
        return Constraints(origin=_ORIGIN, cidr=networks, brand=brands)
