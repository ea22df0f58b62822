"""No file of an operator's is read without a bound: a device, or a wrong file, would take all memory."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "ott_extauthz"
ROOMS = ["settings.py", "bootstrap", "stores", "wire", "observe", "reload", "sections", "rehearsal", "envoy_lint"]
KERNELS_OWN = {"stores/sqllist/witness.py"}


def unbounded(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("read_bytes", "read_text", "readlines"):
            yield node.lineno


def found(room: str) -> list[str]:
    place = ROOT / room
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files
    return [
        f"{name}:{line}"
        for file in files
        if (name := file.relative_to(ROOT).as_posix()) not in KERNELS_OWN
        for line in unbounded(ast.parse(file.read_text(encoding="utf-8")))
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_that_serves_reads_with_a_bound(room: str) -> None:
    assert found(room) == []


def test_what_has_no_bound_is_seen() -> None:
    assert list(unbounded(ast.parse("path.read_bytes()\nfile.read(9)\nmap(Path.read_text, paths)\n"))) == [1, 3]
