"""Whose tokens may a client exchange, and for what?  One entry of ``delegates_for`` in ``clients.yaml``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ott_extauthz.policy.constraints.document import Described


class Delegation(Described):
    """Whose tokens a client may exchange, and for which of its audiences."""

    issuer: Annotated[str, Field(min_length=1)] | None = None
    """An issuer of `issuer.subject_issuers`, whose users' tokens these are."""
    client: Annotated[str, Field(min_length=1)] | None = None
    """A client of this issuer, whose tokens these are."""
    subjects: Literal["all"] | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] = "all"
    """The subjects, as their tokens name them; or `all`."""
    targets: Annotated[list[str], Field(min_length=1)]
    """The client's own audiences that the tokens may be exchanged for."""

    @model_validator(mode="after")
    def _is_one_source(self) -> "Delegation":
        if (self.issuer is None) == (self.client is None):
            raise ValueError("exactly one of issuer (of users' tokens) and client (of this issuer)")
        return self

    def covers(self, *, issuer: str | None, client: str | None, subject: str, target: str) -> bool:
        """Whether it is about such a token: of a foreign issuer, or of a client of ours; the other one is None."""
        if target not in self.targets or (self.issuer, self.client) != (issuer, client):
            return False
        return self.subjects == "all" or subject in self.subjects
