"""``ott-extauthz issue``: the issuer."""

import typer

from ott_extauthz.cli.options import DEFAULT_CONFIG, ConfigOption, fail, settings_or_exit
from ott_extauthz.documents.problems import DocumentError


def issue(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Serve the issuer: OAuth 2.0 /token over mTLS, /jwks, and its metadata."""
    from ott_extauthz.bootstrap.issuer import run_issuer  # noqa: PLC0415 - the Check server does not need it
    from ott_extauthz.wire.transports import ListenError  # noqa: PLC0415 - gRPC is no light import

    settings = settings_or_exit(config)
    try:
        code = run_issuer(settings, source=str(config))
    except DocumentError as error:
        fail(error)
    except ListenError as error:
        fail(str(error))
    except OSError as error:
        fail(f"issuer.listen: {error.strerror or error}")
    raise typer.Exit(code)
