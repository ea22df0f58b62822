"""What stands in ``api-keys.yaml``?  The keys as `ott-extauthz api-keys` writes them, and as an operator may read them.

There are hashes in it and no secrets: that others can read it gives no key away.  Whoever can write it makes keys.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

import yaml
from pydantic import Field

from ott_extauthz.authn.api_key_entry import KeyEntry
from ott_extauthz.authn.api_keys import ApiKeys, api_keys_of
from ott_extauthz.documents.located import Located, read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import Model, validated

MOST_KEYS: Final = 10_000
HEAD: Final = "# Written by `ott-extauthz api-keys`, which keeps no comments. Hashes only: the keys were shown once.\n"


class KeyFile(Model):
    """The whole of ``api-keys.yaml``."""

    keys: Annotated[list[KeyEntry], Field(max_length=MOST_KEYS)]

    def compiled(self) -> ApiKeys:
        """Return the keys by their ids."""
        return api_keys_of(entry.compiled() for entry in self.keys)


def key_file_from(text: str, source: str) -> KeyFile:
    """Read the file.

    Raises:
        DocumentError: every problem at once, each with its place.
    """
    located = read_yaml(text, source)
    problems = list(_repeated(located))
    try:
        file = validated(located, KeyFile)
    except DocumentError as error:
        raise DocumentError([*error.problems, *problems]) from None
    if problems:
        raise DocumentError(problems)
    return file


def _repeated(located: Located) -> Iterator[Problem]:
    """Yield what names two keys; looked for before the rest is known to fit, so that all is told at once."""
    keys = located.data.get("keys") if isinstance(located.data, dict) else None
    seen: set[str] = set()
    for number, entry in enumerate(keys if isinstance(keys, list) else ()):
        for name in ("id", "sha256"):
            value = entry.get(name) if isinstance(entry, dict) else None
            if not isinstance(value, str):
                continue
            if value in seen:
                yield located.problem(("keys", number, name), "stands twice")
            seen.add(value)


def key_file_text(entries: Iterable[KeyEntry]) -> str:
    """Return the file that says this; its last character is a line break."""
    keys = [_written(entry) for entry in entries]
    return HEAD + yaml.safe_dump({"keys": keys}, sort_keys=False, width=1000, allow_unicode=True)


def _written(entry: KeyEntry) -> Mapping[str, Any]:
    return {name: value for name, value in entry.model_dump().items() if value not in (None, [])}
