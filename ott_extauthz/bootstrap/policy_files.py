"""Which files are the policy?  Those named, and the ``*.yaml`` files of folders named, each read once.

- The files of a folder are read in the order of their names; dotfiles are not read, nor are folders below.
- A mounted ConfigMap is a folder of links through ``..data``, which is swapped as a whole: it is followed once, so that
  files of two revisions are never read together.
- A file that two names lead to is read once, under the first; a ``.yml`` file would be overlooked, so it is a problem.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ott_extauthz.bootstrap.secret_files import unreadable
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.policy.document import Policy, policy_from_files
from ott_extauthz.reload.bounded import bounded

_SNAPSHOT: Final = "..data"


def read_policy(paths: Sequence[Path]) -> Policy:
    """Read and compile the policy that stands at ``paths``.

    Raises:
        DocumentError: every problem of every file at once, each with its place.
    """
    problems: list[Problem] = []
    texts: dict[Path, tuple[str, str]] = {}
    for shown, real in _files(paths, problems):
        try:
            if real not in texts:
                texts[real] = (bounded(real).decode(), str(shown))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(unreadable(shown, error))
    try:
        with _no_collection():
            policy = policy_from_files(list(texts.values()))
    except DocumentError as error:
        raise DocumentError([*problems, *error.problems]) from None
    if problems:
        raise DocumentError(problems)
    return policy


def policy_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that would be read now; none for what cannot be found."""
    return [shown for shown, _ in _files(paths, [])]


def _files(paths: Sequence[Path], problems: list[Problem]) -> Iterator[tuple[Path, Path]]:
    """Yield each file's name for messages, and the file itself."""
    for path in paths:
        try:
            if path.is_dir():
                yield from _of_folder(path, problems)
            else:
                yield path, path.resolve(strict=True)
        # RuntimeError: links in a circle, before Python 3.13.  ValueError: a NUL in the name.
        except (OSError, RuntimeError, ValueError) as error:
            problems.append(unreadable(path, error))


def _of_folder(folder: Path, problems: list[Problem]) -> Iterator[tuple[Path, Path]]:
    snapshot = folder / _SNAPSHOT
    real = (snapshot if snapshot.is_dir() else folder).resolve(strict=True)
    names = sorted(entry.name for entry in real.iterdir() if not entry.name.startswith("."))
    chosen = [name for name in names if name.endswith(".yaml")]
    problems += [
        Problem(str(folder / name), 0, 0, "", "only *.yaml files of a folder are read; rename it")
        for name in names
        if name.lower().endswith((".yml", ".yaml")) and name not in chosen
    ]
    if not chosen:
        problems.append(Problem(str(folder), 0, 0, "", "no *.yaml file in this folder"))
    for name in chosen:
        yield folder / name, (real / name).resolve(strict=True)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector out: everything made is kept, and walking it again and again doubles the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
