"""``ott-extauthz mint`` and ``inspect``: one token, made or looked at."""

import asyncio
import hashlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.authn.inspect import inspect_token
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.cli.options import BAD, DEFAULT_CONFIG, ConfigOption, fail, settings_or_exit
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.documents.validated import Duration
from ott_extauthz.issuer.order import DEFAULT_RING, OrderError
from ott_extauthz.model.body import Body
from ott_extauthz.model.json_body import json_body
from ott_extauthz.ports import SigningError
from ott_extauthz.reload.bounded import bounded, bounded_stream
from ott_extauthz.stores.keyring import KeyFileError
from ott_extauthz.stores.remotekeys.keys import RingError


def mint(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    audience: Annotated[str, typer.Option(help="The one service the token is for.")],
    certificate: Annotated[Path | None, typer.Option(help="The caller's certificate (PEM) to bind it to.")] = None,
    client_id: Annotated[str, typer.Option(help="Who calls.")],
    subject: Annotated[
        str | None, typer.Option(help="`sub`; else the certificate's SPIFFE ID, else client_id.")
    ] = None,
    scope: Annotated[str, typer.Option(help="Scopes, separated by spaces.")] = "",
    lifetime: Annotated[str | None, typer.Option(help="Like 30s; at most 300s; else issuer.lifetime.")] = None,
    htm: Annotated[str | None, typer.Option(help="The one method it is for.")] = None,
    htp: Annotated[str | None, typer.Option(help="The one path, or path template, it is for.")] = None,
    digest_file: Annotated[Path | None, typer.Option(help="The file whose bytes are the one body it is for.")] = None,
    authorization_details: Annotated[
        Path | None, typer.Option(help="A file with mandates: a JSON array (RFC 9396).")
    ] = None,
    ring: Annotated[str, typer.Option(help="The ring of issuer.rings that signs; else issuer.keys.")] = DEFAULT_RING,
) -> None:
    """Print a one-time token signed with the issuer's own key; asks neither the issuer nor clients.yaml for leave."""
    from ott_extauthz.bootstrap.minting import mint_token  # noqa: PLC0415 - `inspect` does not need it

    settings = settings_or_exit(config)
    try:
        minting = mint_token(
            settings,
            audience=audience,
            client_id=client_id,
            scope=frozenset(scope.split()),
            certificate_pem=None if certificate is None else bounded(certificate),
            subject=subject,
            lifetime_ms=None if lifetime is None else _milliseconds(lifetime),
            narrowing=_narrowing(htm, htp, digest_file, authorization_details),
            ring=ring,
            source=str(config),
        )
        token = asyncio.run(minting)
    except (DocumentError, KeyFileError, OrderError, RingError, SigningError) as error:
        fail(error)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    typer.echo(token)


def _narrowing(htm: str | None, htp: str | None, body: Path | None, details: Path | None) -> dict[str, Any]:
    claims = {
        "htm": htm,
        "htp": htp,
        "digest": None if body is None else encoded(hashlib.sha256(bounded(body)).digest()),
        "authorization_details": None if details is None else _json(details),
    }
    return {name: value for name, value in claims.items() if value is not None}


def _json(path: Path) -> object:
    # The Check server's own strict reader: what it would read differently must not be signed.
    value = json_body(Body(bounded(path), is_complete=True))
    if not isinstance(value, list):
        raise typer.BadParameter("a JSON array of objects, each with a type", param_hint="--authorization-details")
    return value


def _milliseconds(text: str) -> int:
    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("a number with a unit: 30s, 500ms", param_hint="--lifetime") from None


def _piped() -> str:
    try:
        raw = bounded_stream(sys.stdin.buffer, "standard input")
    except OSError as error:
        fail(f"standard input: {error.strerror}")
    return raw.decode("latin-1").strip()  # takes every byte: what is no ASCII is no token, and is said to be none


def inspect(
    token: Annotated[str, typer.Argument(help="The token, or - to read it from standard input.")] = "-",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a token's header and claims and what is wrong with them; never its signature, which is not verified."""
    found = inspect_token(_piped() if token == "-" else token, SystemClock().now_ms())
    if as_json:
        typer.echo(json.dumps({"header": found.header, "claims": found.claims, "problems": found.problems}))
    else:
        typer.echo(f"header: {json.dumps(found.header, indent=2)}\nclaims: {json.dumps(found.claims, indent=2)}")
        for problem in found.problems or ("nothing wrong in form; the signature was not verified",):
            typer.echo(problem)
    raise typer.Exit(BAD if found.problems else 0)
