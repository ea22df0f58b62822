"""Over which bytes is a signature made?  The signature base of RFC 9421 §2.5: a line for each component, and its own.

A line says which component it is of, and no value has a line break: two requests that differ in what is covered never
have one base.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import http_sf

from ott_extauthz.authn.http_signatures.message import Message
from ott_extauthz.model.message_component import Component


def signature_parameters(components: Sequence[Component], parameters: Mapping[str, int | str]) -> str:
    """Return the value of ``@signature-params``: what is covered and how, in the signer's order (RFC 9421 §2.3)."""
    told = http_sf.ser(cast("http_sf.StructuredType", [([], dict(parameters))]))  # an inner list of nothing
    return f"({' '.join(map(str, components))}){told.removeprefix('()')}"


def signature_base(message: Message, components: Sequence[Component], parameters: str) -> bytes | None:
    """Return what is signed; None where the request lacks a component, or one whose value cannot be signed."""
    lines: list[str] = []
    for component in components:
        value = message.value(component)
        if value is None:
            return None
        lines.append(f"{component}: {value}")
    lines.append(f'"@signature-params": {parameters}')
    return "\n".join(lines).encode("ascii")
