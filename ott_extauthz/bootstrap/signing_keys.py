"""With which keys are requests signed that leave?  The files of `attach.signing_keys`, each judged by its entry."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ott_extauthz.authn.outgoing.signing_keys import (
    TAKEN,
    SigningKey,
    SigningKeyError,
    private_key_maker,
    secret_maker,
)
from ott_extauthz.authn.partners import SignatureForm
from ott_extauthz.bootstrap.secret_files import readable_by_others, unreadable
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.policy.routes import Route
from ott_extauthz.policy.terms import SigningTerms
from ott_extauthz.sections.signing import SigningKeyEntry
from ott_extauthz.settings import Settings

_MOST_BYTES: Final = 16_384


def read_signing_key(entry: SigningKeyEntry) -> SigningKey:
    """Read the file of one key.

    Raises:
        DocumentError: it holds no such key, or others can read it.
    """
    path = entry.file
    problems = readable_by_others(path)
    if problems:
        raise DocumentError(problems)
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        return _key(entry, raw)
    except OSError as error:
        raise DocumentError([unreadable(path, error)]) from None
    except SigningKeyError as error:
        raise DocumentError([Problem(str(path), 0, 0, "", str(error))]) from None


def _key(entry: SigningKeyEntry, raw: bytes) -> SigningKey:
    if len(raw) > _MOST_BYTES:
        raise SigningKeyError(f"larger than {_MOST_BYTES} bytes")
    kid: str | None = None
    if entry.secret_file is not None:
        maker = secret_maker(raw, entry.written_as)
    else:
        maker, kid = private_key_maker(raw)
    if entry.algorithm not in (None, maker.algorithm):
        raise SigningKeyError(f"a key for {maker.algorithm}, and ott.yaml says {entry.algorithm}")
    if maker.algorithm not in TAKEN[entry.form]:
        raise SigningKeyError(f"a key for {maker.algorithm}, with which the form {entry.form} does not sign")
    keyid = entry.keyid or kid
    if entry.form is SignatureForm.HTTP_SIGNATURES and keyid is None:
        raise SigningKeyError("attach.signing_keys says no keyid, and the key has no kid: receivers could not find it")
    return SigningKey(form=entry.form, maker=maker, keyid=keyid)


def read_signing_keys(entries: Sequence[SigningKeyEntry], problems: list[Problem]) -> Mapping[str, SigningKey]:
    """Read every key by its name; what keeps one from signing is added to ``problems``."""
    keys: dict[str, SigningKey] = {}
    for entry in entries:
        try:
            keys[entry.name] = read_signing_key(entry)
        except DocumentError as error:
            problems += error.problems
    return keys


def signing_lacks(route: Route, settings: Settings) -> Iterator[str]:
    """Yield what keeps this server from signing as a route wants it."""
    signing = route.signing
    if signing is None:
        return
    entries = settings.attach.signing_keys if settings.attach is not None else []
    found = next((entry for entry in entries if entry.name == signing.key), None)
    if found is None:
        yield f"signs with the key {signing.key}, which attach.signing_keys of ott.yaml does not have"
        return
    yield from (f"sign.{name}: the key {signing.key} signs as {found.form}, which has no such thing"
                for name in _unknown(signing, found.form))  # fmt: skip


def _unknown(signing: SigningTerms, form: SignatureForm) -> Iterator[str]:
    is_said = {
        "components": signing.components is not None,
        "expires": signing.expires_ms is not None,
        "tag": signing.tag is not None,
        "keep_id": signing.keep_id,
    }
    return (name for name, said in is_said.items() if said and _FORM_OF[name] is not form)


_FORM_OF: Final = {
    "components": SignatureForm.HTTP_SIGNATURES,
    "expires": SignatureForm.HTTP_SIGNATURES,
    "tag": SignatureForm.HTTP_SIGNATURES,
    "keep_id": SignatureForm.STANDARD_WEBHOOKS,
}
