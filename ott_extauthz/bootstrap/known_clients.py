"""Which clients do our own files name?  A metric shows these by name, and all others as one."""

from operator import is_

from ott_extauthz.authn.api_keys import ApiKeys
from ott_extauthz.authn.partners import Partners
from ott_extauthz.bootstrap.reloading import Sources
from ott_extauthz.policy.document import Policy


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
        self._of = self._in_force()
        self._clients = clients_named(*self._of)

    def __call__(self) -> frozenset[str]:
        """Return them."""
        now = self._in_force()
        if not all(map(is_, now, self._of)):
            self._of, self._clients = now, clients_named(*now)
        return self._clients

    def _in_force(self) -> tuple[Policy, Partners | None, ApiKeys | None]:
        partners, api_keys = self._sources.partners, self._sources.api_keys
        return (
            self._sources.policy.current(),
            None if partners is None else partners.current(),
            None if api_keys is None else api_keys.current(),
        )
