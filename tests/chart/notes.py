"""What NOTES tell an operator to copy: the fenced blocks, by name."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.chart.rendering import render

_BLOCK = re.compile(r"^```yaml ([a-z-]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def notes(values: Mapping[str, Any]) -> str:
    """Return NOTES as they are printed after an installation."""
    return render(values)["templates/NOTES.txt"]


def snippets(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the blocks of NOTES hold, read as YAML."""
    return {name: yaml.safe_load(text) for name, text in _BLOCK.findall(notes(values))}
