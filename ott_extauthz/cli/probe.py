"""``ott-extauthz probe``: is the server at an address up?  For health checks, which have no other program at hand."""

import asyncio
import re
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer
from pydantic import TypeAdapter, ValidationError

from ott_extauthz.cli.options import fail
from ott_extauthz.documents.validated import Duration
from ott_extauthz.wire.probe import Seen, Tls, seen_by_grpc, seen_by_http

_HOST_AND_PORT: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_LARGEST_PORT: Final = 65535
_SHORTEST_MS, _LONGEST_MS = 10, 60_000
_DURATION: Final = TypeAdapter[int](Duration)
_FileOption = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, readable=True)]


def probe(
    address: Annotated[str, typer.Argument(help="host:port, unix:///path, or http(s)://host:port/readyz")],
    *,
    service: Annotated[str | None, typer.Option(help="Ask the gRPC health service about this one.")] = None,
    refuses: Annotated[bool, typer.Option("--refuses", help="A Check without credentials must be refused.")] = False,
    ca: _FileOption = None,
    certificate: _FileOption = None,
    key: _FileOption = None,
    server_name: Annotated[str | None, typer.Option(help="The name in the server's certificate.")] = None,
    timeout: Annotated[str, typer.Option(help="How long to wait for the whole answer, 10ms to 60s.")] = "1s",
) -> None:
    """Ask a server whether it serves: exit 0 if it does, 1 if not, 2 for a question that makes no sense."""
    tls = _tls(ca, certificate, key, server_name)
    seconds = _seconds(timeout)
    if not address.startswith(("http://", "https://")):
        asking = seen_by_grpc(_target(address), service=service or "", refuses=refuses, tls=tls, seconds=seconds)
    elif service is not None or refuses:
        raise typer.BadParameter("--service and --refuses are questions for a gRPC address")
    else:
        asking = seen_by_http(_url(address, tls), tls=tls or Tls(), seconds=seconds)
    seen = _answer(asking)
    if not seen.is_fine:
        fail(f"{address}: {seen.detail}")
    typer.echo(f"{address}: {seen.detail}")


def _answer(asking: Coroutine[Any, Any, Seen]) -> Seen:
    try:
        return asyncio.run(asking)
    except ssl.SSLError as error:  # an OSError too, but about what is in the files
        raise typer.BadParameter(f"the files cannot be used together: {error.reason or error}") from None
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}") from None
    except UnicodeError:  # a label that no name has, or bytes of the command line that are no text
        raise typer.BadParameter("a host or a service that nobody can be called") from None


def _tls(ca: Path | None, certificate: Path | None, key: Path | None, server_name: str | None) -> Tls | None:
    if (certificate is None) != (key is None):
        raise typer.BadParameter("--certificate and --key go together")
    if ca is None and (certificate or server_name):
        raise typer.BadParameter("--certificate and --server-name need --ca")
    return None if ca is None else Tls(ca=ca, certificate=certificate, key=key, server_name=server_name)


def _seconds(text: str) -> float:
    try:
        milliseconds: int = _DURATION.validate_python(text)
    except ValidationError:
        raise typer.BadParameter("a duration is a number with a unit: 500ms, 2s", param_hint="--timeout") from None
    if not _SHORTEST_MS <= milliseconds <= _LONGEST_MS:
        raise typer.BadParameter("between 10ms and 60s", param_hint="--timeout")
    return milliseconds / 1000


def _target(address: str) -> str:
    """Return the address as gRPC writes it: another scheme of gRPC's must not slip in as a host."""
    path = address.removeprefix("unix://")
    if path != address:
        if not path.startswith("/"):
            raise typer.BadParameter("a Unix socket is written unix:///absolute/path", param_hint="ADDRESS")
        return f"unix:{path}"
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None or not 0 < int(found[1]) <= _LARGEST_PORT:
        raise typer.BadParameter("host:port, unix:///path or http(s)://host:port/path", param_hint="ADDRESS")
    return f"dns:///{address}"


def _url(address: str, tls: Tls | None) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        raise typer.BadParameter("http(s)://host:port/path", param_hint="ADDRESS") from None
    if not _HOST_AND_PORT.fullmatch(parts.netloc if ":" in parts.netloc else f"{parts.netloc}:80"):
        raise typer.BadParameter("a URL without credentials: http(s)://host:port/readyz", param_hint="ADDRESS")
    if tls is not None and parts.scheme != "https":
        raise typer.BadParameter("--ca is for https", param_hint="ADDRESS")
    return address
