"""What all doors share: one error where an address cannot be listened on, and who may use a Unix socket."""

from pathlib import Path


class ListenError(Exception):
    """The address cannot be listened on, or its TLS files cannot be used; the message names the setting."""


def restrict(address: str) -> None:
    """Make a Unix socket usable by its owner and group only, whatever the umask; another address is left alone.

    Whoever can call Check can burn tokens, and whoever reaches the issuer's socket may name any client's certificate.
    """
    if address.startswith("unix://"):
        Path(address.removeprefix("unix://")).chmod(0o660)
