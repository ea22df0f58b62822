"""Where do signing keys stand, and how do they turn?"""

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from ott_extauthz.documents.validated import Duration, Model
from ott_extauthz.key_backends import AwsKmsRing, VaultRing
from ott_extauthz.sections.words import FilePath


class Rotation(Model):
    """How signing keys turn.  ``every: 0s`` makes no new key by itself; what `keys rotate` began goes on all the same.

    A next key is published ``publish_before`` it signs: verifiers must have read it by then.  A key that was replaced
    stays published ``retire_after``: the longest life of a token (300 s), verifiers' leeway (60 s at most) and time for
    other issuers to follow.
    """

    every: Duration = 0
    publish_before: Duration = 600_000
    retire_after: Duration = 420_000

    @model_validator(mode="after")
    def _leaves_no_gap(self) -> "Rotation":
        if not 60_000 <= self.publish_before <= 604_800_000:  # noqa: PLR2004 - a file is followed in seconds
            raise ValueError("publish_before is between 1m and 7d")
        if not 360_000 <= self.retire_after <= 86_400_000:  # noqa: PLR2004 - see the docstring
            raise ValueError("retire_after is between 6m and 1d")
        if self.every and self.every < self.publish_before + self.retire_after:
            raise ValueError("every is at least publish_before and retire_after together, or 0s")
        return self


class KeyDirectory(Model):
    """A key ring in files.  What is left out is as for ``issuer.keys``."""

    directory: FilePath
    passphrase_file: FilePath | None = None
    read_only: bool | None = None


def _kind_of_ring(value: Any) -> str:  # noqa: ANN401 - whatever stood in the file
    """Which kind is meant, so that what is wrong with it is told in that kind's words; no kind is called like a key."""
    has = value.keys() if isinstance(value, dict) else type(value).model_fields if isinstance(value, Model) else ()
    return next((f"a ring in {kind}" for kind in ("vault", "aws_kms") if kind in has), "a ring in files")


_Elsewhere = Annotated[VaultRing, Tag("a ring in vault")] | Annotated[AwsKmsRing, Tag("a ring in aws_kms")]
_Directory = Annotated[
    KeyDirectory, BeforeValidator(lambda value: {"directory": value} if isinstance(value, str) else value)
]
KeyRing = Annotated[_Elsewhere | Annotated[_Directory, Tag("a ring in files")], Discriminator(_kind_of_ring)]
DefaultRing = Annotated[_Elsewhere | Annotated[FilePath, Tag("a ring in files")], Discriminator(_kind_of_ring)]
RingName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
