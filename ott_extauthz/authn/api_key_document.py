"""What stands in ``api-keys.yaml``?  The keys as `ott-extauthz api-keys` writes them, and as an operator may read them.

There are hashes in it and no secrets: that others can read it gives no key away.  Whoever can write it makes keys.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

import yaml
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from ott_extauthz.authn.api_key_form import ID
from ott_extauthz.authn.api_keys import ApiKey
from ott_extauthz.documents.located import read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import Model, validated
from ott_extauthz.model.addresses import Network, network_from
from ott_extauthz.model.constraint_forms import MOST_VALUES, names_from
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.mandate import Constraints

T = TypeVar("T")

MOST_KEYS: Final = 10_000
LONGEST_LIFE_MS: Final = 731 * 86_400_000
"""Two years: an end further away than anybody plans is none."""

HEAD: Final = "# Written by `ott-extauthz api-keys`, which keeps no comments. Hashes only: the keys were shown once.\n"
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

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what its fields must not say together."""
        life = instant_from(self.expires) - instant_from(self.created)
        if not 0 <= life <= LONGEST_LIFE_MS:
            yield "expires", "before it was made, or more than 731 days after"

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


class KeyFile(Model):
    """The whole of ``api-keys.yaml``."""

    keys: Annotated[list[KeyEntry], Field(max_length=MOST_KEYS)]

    def compiled(self) -> dict[str, ApiKey]:
        """Return the keys by their ids."""
        return {entry.id: entry.compiled() for entry in self.keys}


def key_file_from(text: str, source: str) -> KeyFile:
    """Read the file.

    Raises:
        DocumentError: every problem at once, each with its place.
    """
    located = read_yaml(text, source)
    file = validated(located, KeyFile)
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for number, entry in enumerate(file.keys):
        found = list(entry.problems())
        for name, value in (("id", entry.id), ("sha256", entry.sha256)):
            if value in seen:
                found.append((name, "stands twice"))
            seen[value] = name
        problems += [located.problem(("keys", number, name), message) for name, message in found]
    if problems:
        raise DocumentError(problems)
    return file


def key_file_text(entries: Iterable[KeyEntry]) -> str:
    """Return the file that says this; its last character is a line break."""
    keys = [_written(entry) for entry in entries]
    return HEAD + yaml.safe_dump({"keys": keys}, sort_keys=False, width=1000, allow_unicode=True)


def _written(entry: KeyEntry) -> Mapping[str, Any]:
    return {name: value for name, value in entry.model_dump().items() if value not in (None, [])}
