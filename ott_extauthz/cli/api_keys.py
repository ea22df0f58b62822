"""``ott-extauthz api-keys``: made, listed, ended.  What is shown of a key is its id, but once, when it is made."""

import json
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from ott_extauthz.authn.api_key_entry import KeyEntry, instant_from, instant_text
from ott_extauthz.authn.api_key_form import NewKey, new_key
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.cli.api_key_rows import cell, row_of
from ott_extauthz.cli.options import DEFAULT_CONFIG, ConfigOption, fail, settings_or_exit
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.documents.validated import Duration
from ott_extauthz.sections.api_keys import ApiKeys
from ott_extauthz.stores.api_key_file import ApiKeyFile, KeyOutlivedError, KeyUnknownError
from ott_extauthz.stores.keyring import KeyFileError

app = typer.Typer(help="API keys, of which `api_keys.file` keeps the hashes.", no_args_is_help=True)
_FileOption = Annotated[Path | None, typer.Option("--file", help="The file; else `api_keys.file` of -c.")]
_JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("create")
def create(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    client: Annotated[str, typer.Option("--client", help="Who calls with it: its client id.")],
    expires: Annotated[str, typer.Option("--expires", help="How long it is good, like 90d; at most 731d.")],
    scope: Annotated[list[str] | None, typer.Option("--scope", help="What it may do; may stand several times.")] = None,
    cidr: Annotated[list[str] | None, typer.Option("--cidr", help="A network it may come from; several times.")] = None,
    brand: Annotated[list[str] | None, typer.Option("--brand", help="A brand that it is for; several times.")] = None,
    certificate: Annotated[
        str | None, typer.Option("--certificate", help="SHA-256 (hex) of the one client certificate it comes with.")
    ] = None,
    note: Annotated[str | None, typer.Option("--note", help="A word for the operators.")] = None,
    prefix: Annotated[str | None, typer.Option("--prefix", help="What it begins with; else `api_keys.prefix`.")] = None,
    file: _FileOption = None,
    as_json: _JsonOption = False,
) -> None:
    """Make a key, write its hash, and print it this once: it is kept nowhere."""
    place, usual_prefix = _place(config, file)
    now_ms = SystemClock().now_ms()
    try:
        made = new_key(prefix or usual_prefix, secrets.token_bytes)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--prefix") from None
    said = {"scopes": scope, "cidr": cidr, "brands": brand, "certificate": certificate, "note": note}
    entry = _entry(made, client, now_ms, now_ms + _span(expires, "--expires"), said)
    try:
        place.add(entry)
    except (DocumentError, KeyFileError) as error:
        fail(error)
    typer.echo(json.dumps({"key": made.text, "id": entry.id, "expires": entry.expires}) if as_json else made.text)
    typer.echo(f"{place.path}: key {entry.id} of {client} until {entry.expires}; it is not shown again", err=True)


@app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG, *, file: _FileOption = None, as_json: _JsonOption = False) -> None:
    """List the keys: whose they are, what they may do, and until when."""
    place, _ = _place(config, file)
    now_ms = SystemClock().now_ms()
    try:
        if not place.path.exists():
            fail(f"{place.path}: is not there; `ott-extauthz api-keys create` makes it")
        rows = [row_of(entry, now_ms) for entry in place.entries()]
    except DocumentError as error:
        fail(error)
    except OSError as error:  # a name that no file can have
        fail(f"{place.path}: {error.strerror}")
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo("  ".join(cell(value) for value in row.values()))


@app.command("expire")
def expire(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The key, as `api-keys list` names it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    at: Annotated[str | None, typer.Option("--at", help="The instant, like 2027-02-28T12:00:00Z.")] = None,
    within: Annotated[str | None, typer.Option("--in", help="From now, like 7d: time to change over.")] = None,
    file: _FileOption = None,
) -> None:
    """End a key: at once, or when its client has changed over to another.  It is never made to live longer."""
    if at is not None and within is not None:
        raise typer.BadParameter("one of --at and --in")
    place, _ = _place(config, file)
    now_ms = SystemClock().now_ms()
    at_ms = now_ms if within is None else now_ms + _span(within, "--in")
    if at is not None:
        at_ms = _instant(at)
    try:
        place.end(id_, at_ms)
    except KeyUnknownError:
        fail(f"{place.path}: no key {id_}")
    except KeyOutlivedError as error:
        fail(f"{place.path}: {id_} ends at {error} already; a key is not made to live longer, create another")
    except (DocumentError, KeyFileError) as error:
        fail(error)
    typer.echo(f"{place.path}: {id_} ends at {instant_text(at_ms)}; a running server sees it in a moment")


def _place(config: Path, file: Path | None) -> tuple[ApiKeyFile, str]:
    if file is not None:
        return ApiKeyFile(file), str(ApiKeys.model_fields["prefix"].default)
    settings = settings_or_exit(config).api_keys
    if settings is None:
        fail(f"{config}: api_keys: required; it names the file (or say --file)")
    return ApiKeyFile(settings.file), settings.prefix


def _entry(made: NewKey, client: str, now_ms: int, until_ms: int, said: dict[str, Any]) -> KeyEntry:
    fields = {
        "id": made.id,
        "sha256": made.digest.hex(),
        "client_id": client,
        "created": instant_text(now_ms),
        "expires": instant_text(until_ms),
        **{name: value for name, value in said.items() if value},
    }
    try:
        return KeyEntry.model_validate(fields)
    except ValidationError as error:
        told = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    raise typer.BadParameter("; ".join(told).replace("Value error, ", ""))


def _span(text: str, option: str) -> int:
    try:
        milliseconds: int = TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("a duration is a number with a unit: 12h, 90d", param_hint=option) from None
    if milliseconds <= 0:
        raise typer.BadParameter("longer than nothing", param_hint=option)
    return milliseconds


def _instant(text: str) -> int:
    try:
        return instant_from(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--at") from None
