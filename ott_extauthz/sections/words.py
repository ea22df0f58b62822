"""Which words do several sections use?  Addresses and files."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    WithJsonSchema,
)


def as_list(value: Any) -> Any:  # noqa: ANN401 - whatever stood in the file
    """Take one text for a list of it."""
    return [value] if isinstance(value, str) else value


def _address(value: str) -> str:
    if value.startswith("unix://"):
        if not value.removeprefix("unix://").startswith("/"):
            raise ValueError("a Unix socket is written unix:///absolute/path")
        return value
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the largest port
        raise ValueError("an address is written host:port or unix:///path")
    return value


Address = Annotated[str, BeforeValidator(lambda value: _address(value) if isinstance(value, str) else value)]
FilePath = Annotated[Path, Field(strict=False)]
PolicyPaths = Annotated[
    list[FilePath],
    BeforeValidator(as_list),
    Field(min_length=1),
    WithJsonSchema({
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        "description": "A file, a folder with *.yaml files, or a list of these.",
    }),
]  # fmt: skip
"""Where the policy stands: files, and folders with files; one of them alone may be written without a list."""


def host_and_port(address: str) -> tuple[str, int]:
    """Split ``host:port``; an IPv6 host loses its brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def file_name(address: str) -> str:
    """Return an address as a file name: each process appends to a file of its own."""
    stem = Path(address.removeprefix("unix://")).stem if address.startswith("unix://") else address
    return "".join(character if character.isalnum() or character in ".-" else "-" for character in stem)
