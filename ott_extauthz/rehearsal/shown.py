"""How does a text of unknown origin reach a terminal, or a report?  Written out where it is not plain."""

from typing import Any


def plain(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return ``value`` as printable text: no escape of a terminal, no character that XML forbids, no line's end."""
    text = value if isinstance(value, str) else ascii(value)
    return text if text.isprintable() else ascii(text)
