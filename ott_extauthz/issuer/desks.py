"""Who judges requests?  Every desk of the issuer, all by one set of clients.

A request takes the desks in force once and stays with them: no change of the clients falls between its steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ott_extauthz.issuer.batch import BatchDesk
from ott_extauthz.issuer.introspection import Introspection
from ott_extauthz.issuer.token_endpoint import TokenEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Desks:
    """What judges token requests, questions about tokens, and requests for many tokens."""

    endpoint: TokenEndpoint
    introspection: Introspection
    batch: BatchDesk


CurrentDesks = Callable[[], Desks]
"""Returns those in force."""
