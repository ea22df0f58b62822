"""Where are the documents, and what is in them?  Their headings, links, fenced blocks and commands."""

import re
from collections import Counter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
DOCS: Final = ROOT / "docs"
OPERATIONS: Final = DOCS / "operations.md"
STORES: Final = DOCS / "stores.md"
LINT_ENVOY: Final = DOCS / "lint-envoy.md"

MANUAL: Final = (README, *sorted(DOCS.glob("*.md")))
"""What explains the product."""

DOCUMENTS: Final = (
    *MANUAL, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", ROOT / "envoy" / "README.md",
    ROOT / "helm" / "ott-extauthz" / "README.md",
)  # fmt: skip
"""Everything that a reader may be sent to."""

_FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE: Final = re.compile(r"`[^`\n]*`")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def blocks(document: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return [text for word, text in _FENCED.findall(document.read_text()) if word == language]


def links(document: Path) -> list[str]:
    """Return where a document's own links lead, without those to other sites."""
    found = _LINK.findall(_CODE.sub("`", _FENCED.sub("", document.read_text())))
    return [target for target in found if "://" not in target]


def anchors(document: Path) -> set[str]:
    """Return the names that a document's headings get where Markdown is shown: lower case, words joined by `-`."""
    seen: Counter[str] = Counter()
    names = set()
    for heading in _HEADING.findall(_FENCED.sub("", document.read_text())):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        names.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return names


def commands(document: Path) -> list[str]:
    """Return what follows the program's name in code: ``config check -c ott.yaml``."""
    text = document.read_text()
    shown = [line for block in blocks(document, "console") for line in block.splitlines()]
    shown += [span.strip("`") for span in _CODE.findall(_FENCED.sub("", text))]
    return [found[1] for code in shown if (found := re.search(r"(?:^|[ $/])ott-extauthz +(.+)", code))]
