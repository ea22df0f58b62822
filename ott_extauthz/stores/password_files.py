"""What is the store's password?  The text of a file, read anew for every connection, so that it can be rotated."""

from pathlib import Path

from ott_extauthz.reload.bounded import bounded


class PasswordFileError(Exception):
    """There is no password to be had, and why; names the setting, and says nothing of what is in the file."""


def password_from(file: Path | None, setting: str) -> str | None:
    """Return the password, without the line's end; None where no file is set.

    Raises:
        PasswordFileError: the file cannot be read, is not UTF-8, or is empty.
    """
    if file is None:
        return None
    try:
        password = bounded(file).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise PasswordFileError(f"{setting} cannot be read ({why})") from None
    if not password:
        raise PasswordFileError(f"{setting} is empty")
    return password
