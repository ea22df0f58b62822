"""Where are the documents?  Files, folders, standard input, or a running Envoy's admin port."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

from ott_extauthz.bootstrap.secret_files import unreadable
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.envoy_lint.document import Document
from ott_extauthz.envoy_lint.linting import is_known
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.reading import documents_in
from ott_extauthz.reload.bounded import MOST_BYTES, bounded

STDIN: Final = "-"
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_TEMPLATE: Final = re.compile(r"\$\{[A-Za-z_]|\{\{")
_SECONDS: Final = 10.0
_ADDRESS: Final = re.compile(r"[^/\\]+:[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read: the documents, Envoy's version where its admin port said it, and files that are neither."""

    documents: tuple[Document, ...]
    version: str = ""
    skipped: tuple[str, ...] = ()


def read_sources(names: Sequence[str]) -> Read:
    """Read everything that is named.  A file of a folder may be something else altogether; one that is named may not.

    Raises:
        DocumentError: what cannot be read, or is no configuration; all of it at once.
    """
    problems: list[Problem] = []
    documents: list[Document] = []
    skipped: list[str] = []
    versions: list[str] = []
    for name in names:
        try:
            if name.startswith(("http://", "https://")):
                dump, version = _fetched(name)
                documents += _known(dump, name)
                versions.append(version)
            elif Path(name).is_dir():
                documents += _of_folder(Path(name), skipped)
            else:
                documents += _known(_text(name), "stdin" if name == STDIN else name)
        except DocumentError as error:
            problems += error.problems
        except (OSError, ValueError) as error:  # a name that no file, or no host, can have
            problems.append(Problem(name, 0, 0, "", unreadable(Path(), error).message))
    if problems:
        raise DocumentError(problems)
    return Read(documents=tuple(documents), version=next(filter(None, versions), ""), skipped=tuple(skipped))


def _of_folder(folder: Path, skipped: list[str]) -> list[Document]:
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in _SUFFIXES and path.is_file()]
    found: list[Document] = []
    for path in files:
        documents = _of_folders_file(path)
        known = [document for document in documents or () if is_known(document)]
        found += known
        if documents is None or len(known) < len(documents):
            skipped.append(str(path))
    if not found:
        raise DocumentError([Problem(str(folder), 0, 0, "", "no configuration of Envoy or Kubernetes in this folder")])
    return found


def _of_folders_file(path: Path) -> list[Document] | None:
    """Return a file's documents; None of a template, which is YAML only once it is filled in."""
    text = _text(str(path))
    try:
        return documents_in(text, str(path))
    except DocumentError:
        if _TEMPLATE.search(text):
            return None
        raise


def _known(text: str, name: str) -> list[Document]:
    documents = _documents_of(text, name)
    strangers = [document for document in documents if not is_known(document)]
    if strangers or not documents:
        line = strangers[0].lines.get((), 0) if strangers else 0
        told = "no bootstrap, config dump or resources of Envoy, and no Kubernetes object"
        raise DocumentError([Problem(name, line, int(line > 0), "", told)])
    return documents


def _documents_of(text: str, name: str) -> list[Document]:
    try:
        return documents_in(text, name)
    except DocumentError as error:
        if "{{" not in text and "${" not in text:
            raise
        hint = "; is this a template? render it first"
        raise DocumentError([replace(each, message=each.message + hint) for each in error.problems]) from None


def _text(name: str) -> str:
    path = Path(name)
    try:
        raw = sys.stdin.buffer.read(MOST_BYTES + 1) if name == STDIN else bounded(path)
        if len(raw) > MOST_BYTES:
            raise DocumentError([Problem("stdin", 0, 0, "", f"more than {MOST_BYTES} bytes")])
        return raw.decode()
    except UnicodeDecodeError:
        raise DocumentError([Problem(name, 0, 0, "", "cannot be read: not UTF-8")]) from None
    except (OSError, ValueError) as error:
        raise DocumentError([_with_hint(unreadable(path, error))]) from None


def _with_hint(problem: Problem) -> Problem:
    if _ADDRESS.fullmatch(problem.source) is None:
        return problem
    return replace(problem, message=f"{problem.message}; a running Envoy is http://{problem.source}")


class _NoRedirects(HTTPRedirectHandler):
    """An admin port sends nobody elsewhere; what does is none."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


def _fetched(url: str) -> tuple[str, str]:
    """Return the dump and the version of the Envoy whose admin port this is."""
    if "@" in url:
        raise DocumentError([Problem("URL", 0, 0, "", "without user and password, which would stand in every finding")])
    base = url.rstrip("/")
    if urlsplit(url).path in ("", "/"):
        dump = _got(f"{base}/config_dump?include_eds")
    else:
        dump, base = _got(url), url.partition("/config_dump")[0]
    return dump, _version(_got(f"{base}/server_info"), base)


def _got(url: str) -> str:
    opener = build_opener(ProxyHandler({}), _NoRedirects())  # the admin port is this host's, and no proxy's business
    try:
        with opener.open(url, timeout=_SECONDS) as response:
            raw: bytes = response.read(MOST_BYTES + 1)
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise DocumentError([Problem(url, 0, 0, "", f"no answer of an Envoy: {reason}")]) from None
    if len(raw) > MOST_BYTES:
        raise DocumentError([Problem(url, 0, 0, "", f"more than {MOST_BYTES} bytes")])
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise DocumentError([Problem(url, 0, 0, "", "not UTF-8")]) from None


def _version(text: str, name: str) -> str:
    documents = documents_in(text, name)
    if not any(document.tree for document in documents):
        raise DocumentError([Problem(name, 0, 0, "", "no answer of an Envoy: its /server_info is no mapping")])
    return next(_versions(documents), "")


def _versions(documents: Sequence[Document]) -> Iterator[str]:
    for document in documents:
        yield Node(document, (), document.tree)["version"].text
