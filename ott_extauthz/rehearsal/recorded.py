"""How would a recorded CheckRequest be decided?

With a trust list its token is verified as the server would.  Without one nothing is known of its signature: the claims
are taken as they stand, and said to be.  The used-list is a fresh one: whether the token was used is not recorded.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Final

from ott_extauthz.authn.inspect import inspect_token
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.model.facts import Facts, Malformed
from ott_extauthz.rehearsal.stage import Rehearsed, Surroundings, checker_at, decided, fresh_used_list
from ott_extauthz.rehearsal.tokens import Mint

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


async def rehearse_recorded(
    facts: Facts | Malformed, at_ms: int, around: Surroundings, trust: Mapping[str, TrustedIssuer] | None
) -> Rehearsed:
    """Have a recorded request decided as of ``at_ms``; without ``trust`` signatures are not verified."""
    judged, trusted = (facts, trust) if trust is not None else _believed(facts, Mint())
    rehearsed = await decided(checker_at(at_ms, around, fresh_used_list(around.bounds), trusted), judged, around)
    return dataclasses.replace(rehearsed, facts=facts)


def _believed(facts: Facts | Malformed, mint: Mint) -> tuple[Facts | Malformed, Mapping[str, TrustedIssuer]]:
    """Sign every token anew with a key that is trusted, so that the signature alone is not judged."""
    trust: dict[str, TrustedIssuer] = {}
    if isinstance(facts, Malformed):
        return facts, trust

    def again(found: re.Match[str]) -> str:
        inspected = inspect_token(found[0], 0)
        if inspected.claims is None or inspected.header is None:
            return found[0]
        claims, issuer = dict(inspected.claims), inspected.claims.get("iss")
        if isinstance(issuer, str):
            trust[issuer] = mint.trusted(issuer)
        return mint.signed(claims, type_=str(inspected.header.get("typ")))

    headers = {name: tuple(_COMPACT.sub(again, value) for value in values) for name, values in facts.headers.items()}
    return dataclasses.replace(facts, headers=headers), trust
