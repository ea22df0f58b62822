"""Who are the partners that sign requests?  ``partners.yaml`` as values that cannot be wrong; its files are not read.

- A partner signs in one form, and its keys are of that form: no key is ever tried for what it was not made for.
- Several keys are for rotation: the old one counts until it is taken out.
- Two partners with one name are a mistake: whose request would it be?
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from ott_extauthz.authn.partners import MOST_KEYS, SignatureForm
from ott_extauthz.documents.located import Located, read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import Model, validated

PartnerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_ClientId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]
_Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,255}$")]
_File = Annotated[Path, Field(strict=False)]


class _Described(Model):
    model_config = ConfigDict(use_attribute_docstrings=True)


class KeyEntry(_Described):
    """One key of a partner's: a secret that both sides have, or the partner's public key.

    ``kid`` names it: in HTTP message signatures by their ``keyid``, elsewhere for people only.
    """

    kid: Annotated[str, Field(pattern=r"^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$")] | None = None
    """The key's name; an HTTP message signature says it in `keyid`."""
    secret_file: _File | None = None
    """The file with the shared secret; others must not be able to read it."""
    encoding: Literal["text", "base64", "whsec"] | None = None
    """How the secret is written: as it stands, in base64, or as `whsec_…`; absent = text (Standard Webhooks: whsec)."""
    public_key_file: _File | None = None
    """The file with the partner's public key: PEM, a JWK, or `whpk_…`."""

    @model_validator(mode="after")
    def _is_one_key(self) -> "KeyEntry":
        if (self.secret_file is None) == (self.public_key_file is None):
            raise ValueError("exactly one of secret_file and public_key_file")
        if self.encoding is not None and self.secret_file is None:
            raise ValueError("encoding says how a secret is written")
        return self

    @property
    def file(self) -> Path:
        """The file that it stands in."""
        found = self.secret_file or self.public_key_file
        assert found is not None  # noqa: S101 - the model has one of them
        return found


class PartnerEntry(_Described):
    """One partner: the client that it calls as, how it signs, with which keys."""

    name: PartnerName
    """Its name in policies (`signed_request.partners`) and in the used-list: it stays when its keys change."""
    client_id: _ClientId
    """The client that it calls as."""
    form: Annotated[SignatureForm, Field(strict=False)]
    """How it signs: `hmac`, `eddsa`, `standard_webhooks` or `http_signatures`."""
    scopes: list[_Scope] = Field(default=[])
    """The scopes that it has on every route."""
    keys: Annotated[list[KeyEntry], Field(min_length=1, max_length=MOST_KEYS)]
    """Its keys: several while they rotate."""

    @model_validator(mode="after")
    def _keys_fit(self) -> "PartnerEntry":
        wanted = _ONLY.get(self.form)
        for index, key in enumerate(self.keys):
            if wanted is not None and getattr(key, wanted) is None:
                raise ValueError(f"keys[{index}]: the form {self.form} takes {wanted}")
            if self.form is SignatureForm.HTTP_SIGNATURES and key.kid is None:
                raise ValueError(f"keys[{index}]: kid: an HTTP message signature finds its key by it (keyid)")
        names = Counter(key.kid for key in self.keys if key.kid is not None)
        twice = [kid for kid, count in names.items() if count > 1]
        if twice:
            raise ValueError("keys: two keys have one kid")
        return self


_ONLY: Final = {SignatureForm.HMAC: "secret_file", SignatureForm.EDDSA: "public_key_file"}


class PartnersDocument(_Described):
    """The whole of ``partners.yaml``."""

    partners: Annotated[list[PartnerEntry], Field(min_length=1)]
    """Every partner that signs requests."""


PartnerEntries = Mapping[str, PartnerEntry]
"""Every partner's entry by its name, in the order of the file."""


def partner_entries(text: str, source: str) -> tuple[PartnerEntries, Located]:
    """Read ``partners.yaml``; the second value knows where each entry stood.

    Raises:
        DocumentError: every problem at once, each with its place.
    """
    located = read_yaml(text, source)
    doubles = list(_doubles(located))
    try:
        document = validated(located, PartnersDocument)
    except DocumentError as error:
        raise DocumentError([*error.problems, *doubles]) from None
    if doubles:
        raise DocumentError(doubles)
    return MappingProxyType({entry.name: entry for entry in document.partners}), located


def _doubles(located: Located) -> Iterator[Problem]:
    """Compare the raw entries, so that a mistake elsewhere in the file does not hide a double."""
    entries: Any = located.data.get("partners") if isinstance(located.data, dict) else None
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and seen.setdefault(name, index) != index:
            yield located.problem(("partners", index, "name"), f"partners[{seen[name]}] has the same name")
