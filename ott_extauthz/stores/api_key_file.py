"""How is ``api-keys.yaml`` read and changed?  Whole or not at all, by one process at a time.

A command that was killed leaves the file as it was and a ``.new-…`` beside it, which the next one removes.  A link to
the file stays a link: what it leads to is replaced.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ott_extauthz.authn.api_key_document import KeyFile, key_file_from, key_file_text
from ott_extauthz.authn.api_key_entry import KeyEntry, instant_from, instant_text
from ott_extauthz.authn.api_keys import ApiKeys
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.stores.keyring.files import alone_in, unfinished, write

_OWNERS_ALONE: Final = 0o600
_KEPT: Final = 0o644
"""Of a mode that the file has: whoever may read it is meant to, a server with another user; nobody else may write."""

_WRITABLE_BY_OTHERS: Final = 0o002

WAIT_SECONDS: Final = 10.0


class KeyUnknownError(LookupError):
    """No key has this id."""


class KeyOutlivedError(ValueError):
    """The key ends before that already."""


@dataclass(frozen=True, slots=True)
class ApiKeyFile:
    """The file at ``path``, which need not be there yet."""

    path: Path

    def entries(self) -> list[KeyEntry]:
        """Return what is in it; nothing where it is not there.

        Raises:
            DocumentError: every problem at once.
        """
        return _read(self.path).keys if self.path.exists() else []

    def add(self, entry: KeyEntry) -> None:
        """Write one entry more.

        Raises:
            DocumentError: the file has problems, or would have with it: nothing was written.
            KeyFileError: it cannot be written, or another process writes it all the while.
        """
        self._change(lambda entries: [*entries, entry])

    def end(self, id_: str, at_ms: int) -> None:
        """Have a key end at an instant.

        Raises:
            KeyUnknownError: there is none of this id.
            KeyOutlivedError: it ends sooner already; a key is never made to live longer.
            DocumentError: the file has problems.
            KeyFileError: it cannot be written.
        """

        def changed(entries: list[KeyEntry]) -> list[KeyEntry]:
            found = next((entry for entry in entries if entry.id == id_), None)
            if found is None:
                raise KeyUnknownError(id_)
            if instant_from(found.expires) < at_ms:
                raise KeyOutlivedError(found.expires)
            end = instant_text(at_ms)
            # A key made where the clock is ahead of ours was made after now; that must not keep it from ending now.
            created = end if instant_from(end) < instant_from(found.created) else found.created
            ended = found.model_copy(update={"created": created, "expires": end})
            return [ended if entry is found else entry for entry in entries]

        self._change(changed)

    def _change(self, change: Callable[[list[KeyEntry]], list[KeyEntry]]) -> None:
        place = Path(os.path.realpath(self.path))
        with alone_in(place.parent, wait_seconds=WAIT_SECONDS):
            text = key_file_text(change(ApiKeyFile(place).entries()))
            key_file_from(text, str(self.path))
            for left in unfinished(place.parent):
                left.unlink(missing_ok=True)
            is_there = place.exists()
            write(place, text.encode(), mode=_mode(place), like=place if is_there else None)


def load_api_keys(path: Path) -> ApiKeys:
    """Read the keys for a server.

    Raises:
        DocumentError: every problem at once; also where the file is not there, or everybody may write keys into it.
    """
    file = _read(path)
    if path.stat().st_mode & _WRITABLE_BY_OTHERS:
        raise DocumentError([Problem(str(path), 0, 0, "", "everybody may write it, and so make keys; chmod o-w")])
    return file.compiled()


def _read(path: Path) -> KeyFile:
    try:
        text = bounded(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or type(error).__name__) if isinstance(error, OSError) else "not UTF-8"
        raise DocumentError([Problem(str(path), 0, 0, "", f"cannot be read: {why}")]) from None
    return key_file_from(text, str(path))


def _mode(path: Path) -> int:
    return path.stat().st_mode & _KEPT if path.exists() else _OWNERS_ALONE
