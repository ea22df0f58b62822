"""Which clients do our own files name?  A metric shows these by name, and all others as one.

And which routes and audiences: what none of them names any more is shown no longer.
"""

from operator import is_
from typing import Final

from ott_extauthz.authn.api_keys import ApiKeys
from ott_extauthz.authn.partners import Partners
from ott_extauthz.bootstrap.reloading import Sources
from ott_extauthz.issuer.clients import Clients
from ott_extauthz.observe.issuer_metrics import UNKNOWN_CLIENT
from ott_extauthz.observe.metrics import NO_CLIENT, NO_ROUTE, OTHER_CLIENT
from ott_extauthz.policy.document import Policy

MOST_KNOWN: Final = 20_000


def clients_named(policy: Policy, partners: Partners | None, api_keys: ApiKeys | None) -> frozenset[str]:
    """Return every ``client_id`` of a policy's routes and clients, of the partners and of the API keys."""
    of_routes = (route.clients or frozenset() for route in policy.table.routes)
    of_policy = policy.clients.client_ids if policy.clients else frozenset()
    of_partners = (partner.client_id for partner in (partners or {}).values())
    of_api_keys = (key.client_id for key in (api_keys or {}).values())
    return of_policy.union(*of_routes, of_partners, of_api_keys)


class KnownClients:
    """The clients of what is in force; put together anew when any of it changes."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        now = self._in_force()
        self._latest = now, clients_named(*now)  # in one: a thread that reloads asks, too

    def __call__(self) -> frozenset[str]:
        """Return them."""
        now, (of, clients) = self._in_force(), self._latest
        if not all(map(is_, now, of)):
            clients = clients_named(*now)
            self._latest = now, clients
        return clients

    def _in_force(self) -> tuple[Policy, Partners | None, ApiKeys | None]:
        partners, api_keys = self._sources.partners, self._sources.api_keys
        return (
            self._sources.policy.current(),
            None if partners is None else partners.current(),
            None if api_keys is None else api_keys.current(),
        )


def known_names(sources: Sources, clients: frozenset[str]) -> dict[str, frozenset[str]]:
    """Return what the labels of the metrics may be by the files in force, with what stands for none of them.

    A label with more than :data:`MOST_KNOWN` values is left out: a worker tells its parent of all of them in a line.
    """
    policies = [each.current() for each in (sources.policy, sources.shadow_policy) if each is not None]
    routes = [route for policy in policies for route in policy.table.routes]
    known = {
        "route": frozenset({NO_ROUTE}).union(route.name for route in routes),
        "client": clients | {NO_CLIENT, OTHER_CLIENT},
        "audience": frozenset(route.attachment.audience for route in routes if route.attachment is not None),
    }
    return {label: names for label, names in known.items() if len(names) <= MOST_KNOWN}


def known_to_issuer(clients: Clients, servers: frozenset[str]) -> dict[str, frozenset[str]]:
    """Return what the labels of an issuer's metrics may be by its clients and the used-list's ``servers``."""
    return {
        "client": frozenset({UNKNOWN_CLIENT, *clients}),
        "audience": frozenset(name for client in clients.values() for name in client.audiences),
        "server": servers,
    }
