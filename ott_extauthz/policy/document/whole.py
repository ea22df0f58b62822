"""What sections has a policy file?"""

from typing import Annotated

from pydantic import AfterValidator, Field

from ott_extauthz.policy.document.client import ClientRule
from ott_extauthz.policy.document.route import RouteRule
from ott_extauthz.policy.document.words import Name, Rule, Token, distinct


class PolicyDocument(Rule):
    """A policy file.  A policy of several files is all their sections together."""

    revision: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")] | None = None
    """The policy's revision, named by every decision; absent everywhere = a digest of the files."""
    roles: (
        Annotated[
            dict[Name, Annotated[list[Token], Field(min_length=1), AfterValidator(distinct)]], Field(min_length=1)
        ]
        | None
    ) = None
    """Roles: named bundles of scopes.  A role takes away and never adds: the token must carry the scopes too."""
    clients: Annotated[list[ClientRule], Field(min_length=1)] | None = None
    """Who may call; absent = any client of a trusted issuer.  A caller that no entry knows is refused."""
    routes: Annotated[list[RouteRule], Field(min_length=1)] | None = None
    """The routes; what none of them means is refused."""
