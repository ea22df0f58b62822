"""Which files does ``tracing`` name, and can they be used?  Read at the start, and followed.

What turns bad changes nothing: the last good ones go on being used, together.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from ott_extauthz.bootstrap.secret_files import readable_by_others, why_unreadable
from ott_extauthz.bootstrap.store_files import authorities_problems, key_pair_problems
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.ports import Clock
from ott_extauthz.reload.bounded import bounded
from ott_extauthz.reload.looks import Look, look_at
from ott_extauthz.reload.source import InForce, Kind, ReloadListener, Source
from ott_extauthz.sections.tracing import Tracing

_HEADER: Final = re.compile(
    r"(?!grpc-|te:)([a-z0-9][a-z0-9_.-]{0,127})(?<!-bin)[ \t]*:[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)"
)
_MOST_BYTES: Final = 16 * 1024

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingFiles:
    """What the files hold; ``look`` is how they looked before they were read."""

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    headers: Headers = field(default=(), repr=False)
    look: Look | None = field(default=None, repr=False, compare=False)


def tracing_files(settings: Tracing | None, source: str, problems: list[Problem]) -> TracingFiles:
    """Read what ``settings`` name; what is wrong goes to ``problems``, and quotes nothing of a secret."""
    if settings is None:
        return TracingFiles()
    look = look_at(files_of(settings))
    found = list(_problems(settings, source))
    problems += found
    if found:
        return TracingFiles()
    ca, certificate, key = (
        None if path is None else bounded(path) for path in (settings.ca, settings.certificate, settings.key)
    )
    headers = () if settings.headers_file is None else _headers(settings.headers_file)[0]
    return TracingFiles(ca=ca, certificate=certificate, key=key, headers=headers, look=look)


def files_of(settings: Tracing) -> list[Path]:
    """Return the files that ``settings`` name."""
    named = (settings.ca, settings.certificate, settings.key, settings.headers_file)
    return [path for path in named if path is not None]


def tracing_source(
    settings: Tracing,
    files: TracingFiles,
    *,
    take: Callable[[TracingFiles], None],
    clock: Clock,
    listener: ReloadListener,
) -> Source[TracingFiles] | None:
    """Return what follows the files that ``files`` were read from; None where there are none."""
    paths = files_of(settings)
    if not paths:
        return None

    def load() -> TracingFiles:
        problems: list[Problem] = []
        found = tracing_files(settings, "tracing", problems)
        if problems:
            raise DocumentError(problems)
        return found

    in_force = InForce(files, files.look or look_at(paths), clock.now_ms())
    return Source(
        kind=Kind.TRACING, name=settings.endpoint, files=partial(list, paths), load=load, take=take,
        now_ms=clock.now_ms, listener=listener, in_force=in_force,
    )  # fmt: skip


def _problems(settings: Tracing, source: str) -> Iterator[Problem]:
    if settings.ca is not None:
        yield from (Problem(source, 0, 0, "tracing.ca", why) for why in authorities_problems(settings.ca))
    if settings.certificate is not None:
        yield from key_pair_problems("tracing", settings.certificate, settings.key, source)
    if settings.headers_file is not None:
        whys = _headers(settings.headers_file)[1]
        yield from (Problem(source, 0, 0, "tracing.headers_file", why) for why in whys)


def _headers(path: Path) -> tuple[Headers, list[str]]:
    try:
        raw = bounded(path)
    except OSError as error:
        return (), [why_unreadable(path, error)]
    if len(raw) > _MOST_BYTES:
        return (), [f"{path} is larger than {_MOST_BYTES} bytes"]
    whys = [f"{path}: {each.message}" for each in readable_by_others(path)]
    headers = []
    for number, line in enumerate(raw.decode("latin-1").split("\n"), 1):
        text = line.removesuffix("\r").strip(" \t")
        found = _HEADER.fullmatch(text)
        if found is not None:
            headers.append((found[1], found[2]))
        elif text and not text.startswith("#"):
            whys.append(f"{path}:{number}: a line is `name: value`, a lower-case name that is not gRPC's own, ASCII")
    return tuple(headers), whys or ([] if headers else [f"{path} names no header"])
