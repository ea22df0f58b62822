"""With which keys do partners sign?  ``partners.yaml`` and every file it names, judged together."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ott_extauthz.authn.partner_document import KeyEntry, PartnerEntries, PartnerEntry, partner_entries
from ott_extauthz.authn.partner_keys import (
    MAX_KEY_FILE_BYTES,
    PartnerKeyError,
    material_of,
    public_key_from,
    secret_from,
)
from ott_extauthz.authn.partners import KeyAlgorithm, Partner, PartnerKey, Partners, SignatureForm
from ott_extauthz.bootstrap.secret_files import readable_by_others, unreadable
from ott_extauthz.documents.located import Located
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.reload.bounded import bounded

_TAKEN: Final = {
    SignatureForm.STANDARD_WEBHOOKS: frozenset({KeyAlgorithm.HMAC_SHA256, KeyAlgorithm.ED25519}),
    SignatureForm.EDDSA: frozenset({KeyAlgorithm.ED25519}),
    SignatureForm.HMAC: frozenset({KeyAlgorithm.HMAC_SHA256}),
    SignatureForm.HTTP_SIGNATURES: frozenset(KeyAlgorithm),
}


def read_partner_entries(path: Path) -> tuple[PartnerEntries, Located]:
    """Read ``partners.yaml`` alone.

    Raises:
        DocumentError: every problem at once; also where the file cannot be read.
    """
    try:
        text = bounded(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError([unreadable(path, error)]) from None
    return partner_entries(text, str(path))


def read_partners(path: Path) -> Partners:
    """Read ``partners.yaml`` and the keys that it names; their paths are relative to its folder.

    Raises:
        DocumentError: every problem of every file at once.
    """
    entries, located = read_partner_entries(path)
    problems: list[Problem] = []
    keys: dict[tuple[int, int], PartnerKey] = {}
    for place, (entry, key) in _keys(entries):
        found = _key(entry, key, path.parent, problems)
        if found is not None:
            keys[place] = found
    problems += _shared(keys, located)
    if problems:
        raise DocumentError(problems)
    return {
        entry.name: Partner(
            name=entry.name,
            client_id=entry.client_id,
            form=entry.form,
            keys=tuple(keys[index, number] for number in range(len(entry.keys))),
            scopes=frozenset(entry.scopes),
        )
        for index, entry in enumerate(entries.values())
    }


def files_of_partners(path: Path, text: str) -> Iterator[Path]:
    """Yield the files that a ``partners.yaml`` names.

    Raises:
        DocumentError: it is none.
    """
    entries, _ = partner_entries(text, str(path))
    yield from (path.parent / key.file for _, (_, key) in _keys(entries))


def _keys(entries: PartnerEntries) -> Iterator[tuple[tuple[int, int], tuple[PartnerEntry, KeyEntry]]]:
    for index, entry in enumerate(entries.values()):
        for number, key in enumerate(entry.keys):
            yield (index, number), (entry, key)


def _key(entry: PartnerEntry, key: KeyEntry, folder: Path, problems: list[Problem]) -> PartnerKey | None:
    path = folder / key.file
    try:
        found = _read(entry, key, path)
    except OSError as error:
        problems.append(unreadable(path, error))
        return None
    except PartnerKeyError as error:
        problems.append(Problem(str(path), 0, 0, "", str(error)))
        return None
    if key.secret_file is not None:
        problems += readable_by_others(path)
    return found


def _read(entry: PartnerEntry, key: KeyEntry, path: Path) -> PartnerKey:
    with path.open("rb") as file:
        raw = file.read(MAX_KEY_FILE_BYTES + 1)
    if len(raw) > MAX_KEY_FILE_BYTES:
        raise PartnerKeyError(f"larger than {MAX_KEY_FILE_BYTES} bytes")
    usual = "whsec" if entry.form is SignatureForm.STANDARD_WEBHOOKS else "text"
    found = (
        public_key_from(raw, kid=key.kid)
        if key.secret_file is None
        else secret_from(raw, kid=key.kid, encoding=key.encoding or usual)
    )
    if found.algorithm not in _TAKEN[entry.form]:
        raise PartnerKeyError(f"a key for {found.algorithm}, with which the form {entry.form} does not sign")
    return found


def _shared(keys: dict[tuple[int, int], PartnerKey], located: Located) -> Iterator[Problem]:
    """Yield every key that stands twice: a signature by it would be of two partners, or outlive its own removal."""
    seen: dict[object, tuple[int, int]] = {}
    for (index, number), key in keys.items():
        first = seen.setdefault(material_of(key), (index, number))
        if first != (index, number):
            told = f"partners[{first[0]}].keys[{first[1]}] is the same key, or a public one taken for a secret"
            yield located.problem(("partners", index, "keys", number), told)
