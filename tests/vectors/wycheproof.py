"""Reads Wycheproof test vectors from beside the repository; nothing of them is copied here."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "wycheproof"


def groups(name: str) -> list[dict[str, Any]]:
    path = FOLDER / name
    if not path.exists():
        pytest.skip("the Wycheproof vectors are not beside this checkout (../shared/vectors/wycheproof)")
    found: list[dict[str, Any]] = json.loads(path.read_text())["testGroups"]
    return found
