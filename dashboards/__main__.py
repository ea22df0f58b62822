"""``python -m dashboards``: write the chart's dashboards; a test compares what is checked in."""

import json
from pathlib import Path
from typing import Final

from dashboards import issuer, overview, security, store
from dashboards.board import Board

FOLDER: Final = Path(__file__).parents[1] / "helm" / "ott-extauthz" / "files" / "dashboards"
BOARDS: Final[dict[str, Board]] = {
    "overview": overview.BOARD,
    "security": security.BOARD,
    "issuer": issuer.BOARD,
    "store": store.BOARD,
}


def text_of(board: Board) -> str:
    """Return the file's content."""
    return json.dumps(board.as_json(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, board in BOARDS.items():
        (FOLDER / f"{name}.json").write_text(text_of(board), encoding="utf-8")


if __name__ == "__main__":
    main()
