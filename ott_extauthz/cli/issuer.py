"""``ott-extauthz issue``: the issuer."""

import typer

from ott_extauthz.cli.options import DEFAULT_CONFIG, ConfigOption, fail, settings_or_exit
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.observe.standard_error import unhindered
from ott_extauthz.wire.listening import ListenError


def issue(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Serve the issuer: OAuth 2.0 /token over mTLS, /jwks, and its metadata."""
    from ott_extauthz.bootstrap.issuer import run_issuer  # noqa: PLC0415 - the Check server does not need it

    with unhindered() as log:  # what keeps it from starting, too: nobody may read that either
        settings = settings_or_exit(config)
        try:
            code = run_issuer(settings, source=str(config), log=log)
        except (DocumentError, ListenError) as error:
            fail(error)
        except OSError as error:
            fail(f"{error.filename or 'issue'}: {error.strerror or error}")
    raise typer.Exit(code)
