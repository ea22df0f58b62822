"""In which of the policy's keys do two routes differ, as far as they are about access?"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

from ott_extauthz.policy.routes import Attachment, Route
from ott_extauthz.policy.rules import Rules

_NOT_ABOUT_ACCESS: Final = frozenset({"name", "keeps_credential", "reservation"})
_KEYS: Final = {
    "max_auth_age_ms": "max_auth_age", "header": "from", "scheme": "from", "cookie": "from", "shadow": "mode",
    "signed": "signed_request", "callers": "certificate", "signing": "sign",
}  # fmt: skip
"""The policy's key for a field that has another name."""

_ATTACHMENT_KEYS: Final = {"scope": "scopes", "header": "to", "scheme": "to"}


def differing_keys(one: Route, other: Route) -> tuple[str, ...]:
    """Return the keys, each once, in the order in which a route has them."""
    return tuple(dict.fromkeys(_keys(one, other)))


def _keys(one: Route, other: Route) -> Iterator[str]:
    for name in _fields(one, other):
        if name == "limits":
            yield from _fields(one.limits, other.limits)
        elif name == "rules":
            yield from (key for key in ("when", "deny_when") if _texts(one.rules, key) != _texts(other.rules, key))
        elif name == "parts":
            yield from _part_keys(one, other)
        elif name == "attachment":
            yield from _attachment_keys(one.attachment, other.attachment)
        elif name not in _NOT_ABOUT_ACCESS:
            yield _KEYS.get(name, name)


def _part_keys(one: Route, other: Route) -> Iterator[str]:
    """Yield the keys of one credential; of several, how they are combined, for each entry may be about another."""
    if one.credential is not other.credential:
        return
    if len(one.parts) != 1 or len(other.parts) != 1:
        yield one.credential
        return
    for name in _fields(one.asks, other.asks):
        if name not in _NOT_ABOUT_ACCESS:
            yield _KEYS.get(name, name)


def _attachment_keys(one: Attachment | None, other: Attachment | None) -> Iterator[str]:
    if one is None or other is None:
        yield "attach"
    else:
        yield from (_ATTACHMENT_KEYS.get(name, name) for name in _fields(one, other))


def _fields(one: Any, other: Any) -> Iterator[str]:  # noqa: ANN401 - two values of one dataclass
    names = (field.name for field in dataclasses.fields(one))
    return (name for name in names if getattr(one, name) != getattr(other, name))


def _texts(rules: Rules, key: str) -> list[str]:
    return [rule.condition.text for rule in rules.conditions if rule.name.partition("[")[0] == key]
