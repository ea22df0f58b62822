"""Which keys sign requests that leave?  The settings of `attach.signing_keys`; the files themselves are not read here.

Key files are followed while we serve: a new key signs as soon as it is seen.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from ott_extauthz.authn.outgoing.signing_keys import TAKEN
from ott_extauthz.authn.partners import KeyAlgorithm, SignatureForm
from ott_extauthz.documents.validated import Model

_File = Annotated[Path, Field(strict=False)]
_USUAL_ENCODING: Final = "text"


class SigningKeyEntry(Model):
    """One key: its name in policies, how it signs, and its file.

    ``algorithm`` is the file's own where it is left out.  ``keyid`` is what HTTP message signatures call the key; a JWK
    brings its own (``kid``).  ``encoding`` is how a secret is written, text unless Standard Webhooks (``whsec``).
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    form: Annotated[SignatureForm, Field(strict=False)]
    algorithm: Annotated[KeyAlgorithm, Field(strict=False)] | None = None
    secret_file: _File | None = None
    key_file: _File | None = None
    encoding: Literal["text", "base64", "whsec"] | None = None
    keyid: Annotated[str, Field(pattern=r"^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$")] | None = None

    @model_validator(mode="after")
    def _is_one_key(self) -> "SigningKeyEntry":
        if (self.secret_file is None) == (self.key_file is None):
            raise ValueError("exactly one of secret_file (a shared secret) and key_file (a private key)")
        if self.encoding is not None and self.secret_file is None:
            raise ValueError("encoding says how a secret is written; leave it out")
        if self.algorithm is not None and self.algorithm not in TAKEN[self.form]:
            raise ValueError(f"the form {self.form} does not sign with {self.algorithm}")
        if (self.algorithm is KeyAlgorithm.HMAC_SHA256) != (self.secret_file is not None) and self.algorithm:
            raise ValueError("hmac-sha256 signs with secret_file, every other algorithm with key_file")
        if self.secret_file is not None and KeyAlgorithm.HMAC_SHA256 not in TAKEN[self.form]:
            raise ValueError(f"the form {self.form} signs with key_file")
        if self.key_file is not None and TAKEN[self.form] == {KeyAlgorithm.HMAC_SHA256}:
            raise ValueError(f"the form {self.form} signs with secret_file")
        return self

    @model_validator(mode="after")
    def _has_a_name_where_there_is_a_word_for_it(self) -> "SigningKeyEntry":
        if self.form is not SignatureForm.HTTP_SIGNATURES:
            if self.keyid is not None:
                raise ValueError(f"keyid: the form {self.form} has no word for it; leave it out")
        elif self.keyid is None and self.secret_file is not None:
            raise ValueError("keyid: required; receivers find the secret by it")
        return self

    @property
    def file(self) -> Path:
        """The file that it stands in."""
        found = self.secret_file or self.key_file
        assert found is not None  # noqa: S101 - the model has one of them
        return found

    @property
    def written_as(self) -> str:
        """How a secret is written."""
        usual = "whsec" if self.form is SignatureForm.STANDARD_WEBHOOKS else _USUAL_ENCODING
        return self.encoding or usual


class SigningKeys(Model):
    """The keys that sign requests, by which routes name them."""

    signing_keys: list[SigningKeyEntry] = Field(default=[])

    @field_validator("signing_keys")
    @classmethod
    def _names_differ(cls, value: list[SigningKeyEntry]) -> list[SigningKeyEntry]:
        names = [each.name for each in value]
        if len(set(names)) != len(names):
            raise ValueError("two keys have one name")
        return value
