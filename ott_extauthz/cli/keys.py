"""``ott-extauthz keys``: the issuer's signing keys."""

import json
from pathlib import Path
from typing import Annotated, NoReturn, cast, get_args

import typer

from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.rings import place_of, ring_settings, rotation_of
from ott_extauthz.cli.key_rows import Row, rows_of, told
from ott_extauthz.cli.options import DEFAULT_CONFIG, ConfigOption, fail, settings_or_exit
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.issuer.order import DEFAULT_RING, DEFAULT_RING_TITLE, ring_title
from ott_extauthz.sections.issuer import Issuer
from ott_extauthz.sections.rings import KeyDirectory
from ott_extauthz.stores.encryption_files import Curve, init_encryption
from ott_extauthz.stores.keyring import KeyFileError, Keys, Place, init_ring, keys_in, retire, rotate
from ott_extauthz.stores.signing import SigningAlgorithm

app = typer.Typer(help="The issuer's signing keys.", no_args_is_help=True)
_ALGORITHMS = get_args(SigningAlgorithm)
_AlgorithmOption = Annotated[str | None, typer.Option("--algorithm", help=f"One of {', '.join(_ALGORITHMS)}.")]
_JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_RingOption = Annotated[str, typer.Option("--ring", help="A ring of issuer.rings; else that of issuer.keys.")]


@app.command("init")
def init(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    algorithm: _AlgorithmOption = None,
    ring: _RingOption = DEFAULT_RING_TITLE,
    as_json: _JsonOption = False,
) -> None:
    """Make the key directory that `issuer.keys` names, with one active signing key."""
    issuer = _issuer(config)
    place = _place(config, issuer, ring)
    chosen = _algorithm(algorithm) or "EdDSA"
    try:
        key = init_ring(place, algorithm=chosen, now_ms=SystemClock().now_ms())
    except KeyFileError as error:
        fail(error)
    if as_json:
        (row,) = rows_of(ring, (key,), rotation_of(issuer))
        typer.echo(json.dumps(row))
    else:
        typer.echo(f"{place.directory}: made signing key {key.kid} ({key.alg}); verifiers read {place.jwks}")


@app.command("init-encryption")
def init_encryption_(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    curve: Annotated[str, typer.Option(help=f"One of {', '.join(get_args(Curve))}.")] = "X25519",
    as_json: _JsonOption = False,
) -> None:
    """Make a key that opens encrypted tokens, in the folder that `decryption` names; issuers get its public half."""
    folder = settings_or_exit(config).decryption
    if folder is None:
        fail(f"{config}: decryption: required; it names the folder")
    if curve not in get_args(Curve):
        raise typer.BadParameter(f"one of {', '.join(get_args(Curve))}", param_hint="--curve")
    try:
        kid, public = init_encryption(folder, cast("Curve", curve))
    except DocumentError as error:
        fail(error)
    except OSError as error:
        fail(f"{folder}: cannot be written: {error.strerror}")
    if as_json:
        typer.echo(json.dumps({"kid": kid, "curve": curve, "jwks": str(public)}))
    else:
        typer.echo(f"{folder}: made encryption key {kid} ({curve}); issuers seal with the first key of {public}")


@app.command("list")
def list_(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    ring: Annotated[str | None, typer.Option("--ring", help="This ring alone.")] = None,
    as_json: _JsonOption = False,
) -> None:
    """List the signing keys of all rings, their states, since when, and when the next step is due."""
    issuer = _issuer(config)
    rings = ring_settings(issuer)
    here = [ring_title(name) for name, settings in rings.items() if isinstance(settings, KeyDirectory)]
    names = here if ring is None else [ring]
    rows: list[Row] = []
    try:
        for name in names:
            rows += rows_of(name, keys_in(_place(config, issuer, name)), rotation_of(issuer))
    except KeyFileError as error:
        fail(error)
    elsewhere = [ring_title(name) for name in rings if ring_title(name) not in here]
    if ring is None and elsewhere:
        typer.echo(f"not listed, for their keys live elsewhere: {', '.join(elsewhere)}", err=True)
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo("  ".join(value or "-" for value in row.values()))


@app.command("rotate")
def rotate_(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    ring: _RingOption = DEFAULT_RING_TITLE,
    algorithm: _AlgorithmOption = None,
    now: Annotated[
        bool, typer.Option("--now", help="Sign with the new key at once; who has not read it yet refuses its tokens.")
    ] = False,
    as_json: _JsonOption = False,
) -> None:
    """Publish a next key and say when it signs; called again, or by a running issuer, go on when it is due."""
    issuer = _issuer(config)
    place, rotation = _place(config, issuer, ring), rotation_of(issuer)
    now_ms = SystemClock().now_ms()
    try:
        before = keys_in(place)
        after = rotate(place, rotation, at_once=now, algorithm=_algorithm(algorithm), now_ms=now_ms)
    except KeyFileError as error:
        fail(error)
    _show(ring, before, after, issuer, as_json=as_json)


@app.command("retire")
def retire_(
    kid: Annotated[str, typer.Argument(help="The key, as `keys list` names it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    ring: _RingOption = DEFAULT_RING_TITLE,
    as_json: _JsonOption = False,
) -> None:
    """Take a compromised key out at once: unpublished, its private key deleted, an active one replaced first."""
    issuer = _issuer(config)
    place = _place(config, issuer, ring)
    try:
        before = keys_in(place)
        after = retire(place, kid, now_ms=SystemClock().now_ms())
    except KeyFileError as error:
        fail(error)
    _show(ring, before, after, issuer, as_json=as_json)


def _show(ring: str, before: Keys, after: Keys, issuer: Issuer, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows_of(ring, after, rotation_of(issuer))))
        return
    for line in told(before, after, rotation_of(issuer)):
        typer.echo(f"{ring}: {line}")


def _issuer(config: Path) -> Issuer:
    issuer = settings_or_exit(config).issuer
    if issuer is None:
        fail(f"{config}: issuer: required; it names the key directory")
    return issuer


def _place(config: Path, issuer: Issuer, ring: str) -> Place:
    settings = ring_settings(issuer).get(DEFAULT_RING if ring == DEFAULT_RING_TITLE else ring)
    if settings is None or ring == DEFAULT_RING:
        _unknown_ring(config, ring)
    if not isinstance(settings, KeyDirectory):
        fail(f"{config}: the keys of ring {ring} live elsewhere, and are listed and turned there")
    return place_of(settings, issuer)


def _unknown_ring(config: Path, ring: str) -> NoReturn:
    fail(f"{config}: issuer.rings: no ring {ring}")


def _algorithm(name: str | None) -> SigningAlgorithm | None:
    if name is not None and name not in _ALGORITHMS:
        raise typer.BadParameter(f"one of {', '.join(_ALGORITHMS)}", param_hint="--algorithm")
    return cast("SigningAlgorithm | None", name)
