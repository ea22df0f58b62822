"""What is the value of a component of this request?  RFC 9421 §2.1 and §2.2, or none where it has none.

- Values are ASCII without line breaks or other control characters, whoever sent them: a line break in a value would
  forge the line of another component (RFC 9421 §7.5.4).  What is not ASCII can be covered with ``bs``.
- A path is what Envoy reports, after its own normalisation and before ours: percent forms count as they stand.
- Header lines are joined by a comma and a space, after trimming.  Line folding never gets through Envoy.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, cast

import http_sf

from ott_extauthz.authn.http_signatures.query import decoded, encoded, single_parameters
from ott_extauthz.model.facts import Headers
from ott_extauthz.model.message_component import Component, refuse_double

_PRINTABLE: Final = re.compile(r"[\x20-\x7e]*")
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_OWS: Final = " \t"

MAX_DICTIONARY_CHARACTERS: Final = 8192
"""A longer field is not taken apart for ``sf`` and ``key``: whoever sends it has us work, and has proven nothing."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A request as both sides know it.

    ``authority`` is in lower case and without the scheme's own port; ``target`` is path and query, or ``*``.
    """

    method: str
    scheme: str
    authority: str
    target: str = field(repr=False)
    headers: Headers = field(repr=False)

    @property
    def has_query(self) -> bool:
        """Whether there is a query, be it an empty one."""
        return "?" in self.target

    def with_header(self, name: str, value: str) -> "Message":
        """Return the request with this header, in place of any of that name."""
        return replace(self, headers={**self.headers, name: (value,)})

    def value(self, component: Component) -> str | None:
        """Return the component's value; None where the request has none that can be signed."""
        if component.name.startswith("@"):
            value, form = self._derived(component), _PRINTABLE
        else:
            value, form = self._field(component), _FIELD_VALUE
        return value if value is not None and form.fullmatch(value) else None

    def _derived(self, component: Component) -> str | None:
        path, _, query = self.target.partition("?")
        match component.name:
            case "@method":
                return self.method
            case "@scheme":
                return self.scheme.lower()
            case "@authority":
                return self.authority
            case "@target-uri":  # `*` is about the whole server: no path at all (RFC 9110 §4.2.3)
                return f"{self.scheme.lower()}://{self.authority}{'' if self.target == '*' else self.target}"
            case "@request-target":
                return self.target
            case "@path":
                return None if self.target == "*" else path
            case "@query":
                return f"?{query}"
            case _:
                return self._query_parameter(str(component.parameter["name"]))

    def _query_parameter(self, name: str) -> str | None:
        wanted = decoded(name)
        value = None if wanted is None else self._parameters.get(wanted)
        return None if value is None else encoded(value)

    @cached_property  # each of many components may ask for one
    def _parameters(self) -> Mapping[str, str]:
        return single_parameters(self.target.partition("?")[2])

    def _field(self, component: Component) -> str | None:
        lines = [line.strip(_OWS) for line in self.headers.get(component.name, ())]
        if not lines:
            return None
        parameter = component.parameter
        if "bs" in parameter:
            return http_sf.ser([line.encode("latin-1") for line in lines])
        if not parameter:
            return ", ".join(lines)
        members = self._dictionary(component.name, ", ".join(lines))
        if "key" not in parameter:
            return _spelt(members) if members else None
        key = str(parameter["key"])
        return _spelt([members[key]]) if key in members else None

    def _dictionary(self, name: str, value: str) -> Mapping[str, object]:
        if name not in self._dictionaries:
            self._dictionaries[name] = _members(value)
        return self._dictionaries[name]

    @cached_property
    def _dictionaries(self) -> dict[str, Mapping[str, object]]:
        return {}


def _members(value: str) -> Mapping[str, object]:
    """Return the members of a dictionary; none where it is none."""
    if len(value) > MAX_DICTIONARY_CHARACTERS:
        return {}
    try:
        found = http_sf.parse(value.encode("latin-1"), tltype="dictionary", on_duplicate_key=refuse_double)
    except (ValueError, TypeError, OverflowError):
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _spelt(structure: object) -> str | None:
    """Return the one spelling of a structured field; None where its values have none."""
    try:
        return http_sf.ser(cast("http_sf.StructuredType", structure))
    except (ValueError, TypeError, OverflowError):
        return None
