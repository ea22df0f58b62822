"""Which part of a request does a signature cover?  Component identifiers of RFC 9421 §2, in policies and in messages.

Only what can be had from a request, and means one thing, is a component here:

- ``@status`` and ``req`` are of responses; trailers (``tr``) come after the decision.
- ``bs`` needs the lines as they came, ``sf`` and ``key`` their parsed value: never both (RFC 9421 §2.1).
- ``sf`` only where the field's type is known: a list and a dictionary serialise differently.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

import http_sf

DICTIONARIES: Final = frozenset({
    "cache-control", "content-digest", "repr-digest", "priority", "signature", "signature-input",
    "want-content-digest", "want-repr-digest",
})  # fmt: skip
"""The fields for which ``sf`` is taken: all of them dictionaries (RFC 9111, 9218, 9421, 9530)."""

MAX_IDENTIFIER_CHARACTERS: Final = 512

_DERIVED: Final = frozenset({
    "@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query", "@query-param",
})  # fmt: skip
_FIELD: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,256}")
_FLAGS: Final = frozenset({"sf", "bs"})


@dataclass(frozen=True, slots=True)
class Component:
    """One component; the order of its parameters is the signer's, and kept."""

    name: str
    parameters: tuple[tuple[str, str | bool], ...] = ()

    def __str__(self) -> str:
        return _spelt(self)

    @property
    def identity(self) -> tuple[str, frozenset[tuple[str, str | bool]]]:
        """What makes it this component and no other; the order of parameters does not (RFC 9421 §2)."""
        return self.name, frozenset(self.parameters)

    @property
    def parameter(self) -> Mapping[str, str | bool]:
        """Its parameters by name."""
        return dict(self.parameters)


@lru_cache(maxsize=512)  # the same few come again and again; callers choose some, and their length is bounded
def _spelt(component: Component) -> str:
    return http_sf.ser(cast("http_sf.StructuredType", (component.name, dict(component.parameters))))


def component_from(text: str) -> Component:
    """Read a component as people write it: ``@method``, ``content-type``, ``"@query-param";name="amount"``.

    Raises:
        ValueError: it is none of a request's.
    """
    if not text.startswith('"'):
        return checked(text, {})
    if len(text) > MAX_IDENTIFIER_CHARACTERS or not text.isascii():
        raise ValueError("is not a component identifier (RFC 9421)")
    found = http_sf.parse(text.encode(), tltype="item", on_duplicate_key=refuse_double)
    assert isinstance(found, tuple)  # noqa: S101 - an item, as it is parsed, is a value and its parameters
    return checked(*found)


def checked(name: object, parameters: Mapping[str, object]) -> Component:
    """Return the component of this name and these parameters.

    Raises:
        ValueError: it is none of a request's.
    """
    if not isinstance(name, str):
        raise ValueError("the name of a component is a string")  # noqa: TRY004 - a sender's mistake, not a caller's
    kept: dict[str, str | bool] = {}
    for key, value in parameters.items():
        if not isinstance(value, str | bool):
            raise ValueError("a component's parameter is a string or a flag")  # noqa: TRY004 - the same
        kept[key] = value
    if name.startswith("@"):
        _check_derived(name, kept)
    else:
        _check_field(name, kept)
    return Component(name, tuple(kept.items()))


def refuse_double(key: str, _where: str) -> None:
    """Refuse a key that stands twice, where structured fields would take the last (RFC 9651 §3.1.2, §3.2)."""
    raise ValueError(f"{key} stands twice")


def _check_derived(name: str, parameters: Mapping[str, str | bool]) -> None:
    if name not in _DERIVED:
        raise ValueError(f"a request has no {name}")
    wanted = {"name"} if name == "@query-param" else set()
    if set(parameters) != wanted or not all(isinstance(value, str) for value in parameters.values()):
        raise ValueError(f"{name} takes {'the parameter name' if wanted else 'no parameter'}")


def _check_field(name: str, parameters: Mapping[str, str | bool]) -> None:
    if _FIELD.fullmatch(name) is None:
        raise ValueError("is neither a header in lower case nor a derived component")
    for key, value in parameters.items():
        is_good = isinstance(value, str) if key == "key" else key in _FLAGS and value is True
        if not is_good:
            raise ValueError("a header takes the flags sf and bs, and key with a string")
    if "bs" in parameters and len(parameters) > 1:
        raise ValueError("bs goes with neither sf nor key")
    if "sf" in parameters and "key" not in parameters and name not in DICTIONARIES:
        raise ValueError(f"sf: the type of {name} is not known here")
