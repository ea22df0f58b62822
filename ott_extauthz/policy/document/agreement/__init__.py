"""Do the parts of a policy agree?  What each field allows alone, but not beside another field or another entry.

Errors keep a policy from loading, warnings do not.  Both read plain data, so that these mistakes are told together with
those of the fields, even in a file full of both.
"""

from collections.abc import Iterator, Sequence

from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.document.agreement.conditional import condition_warnings
from ott_extauthz.policy.document.agreement.fields import field_problems
from ott_extauthz.policy.document.agreement.grants import grant_problems, idle_grants
from ott_extauthz.policy.document.agreement.names import name_problems
from ott_extauthz.policy.document.agreement.overlaps import overlap_problems
from ott_extauthz.policy.document.agreement.publics import public_problems, public_warnings
from ott_extauthz.policy.document.parts import Part, clients_of, routes_of


def disagreements(parts: Sequence[Part]) -> Iterator[Problem]:
    """Yield every problem between parts of the policy."""
    routes, clients = routes_of(parts), clients_of(parts)
    yield from field_problems(parts, routes)
    yield from name_problems(parts, routes, clients)
    yield from overlap_problems(routes)
    yield from public_problems(routes)
    yield from grant_problems(parts, routes, clients)


def warnings_of(parts: Sequence[Part]) -> Iterator[Problem]:
    """Yield what is allowed and seldom meant, in a policy without problems."""
    routes, clients = routes_of(parts), clients_of(parts)
    yield from public_warnings(routes)
    yield from condition_warnings(parts)
    yield from idle_grants(parts, routes, clients)
