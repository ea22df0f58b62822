"""How do we stay logged in to Vault?  A token by file, by Kubernetes service account or by AppRole; renewed in time.

- Files are read anew at each login: a rotated secret is the next login's.
- A token is replaced, or renewed, when two thirds of its life are over, and replaced once when it is refused.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Final

from ott_extauthz.key_backends import VaultLogin
from ott_extauthz.ports import SigningError

_MOST_SECRET_BYTES: Final = 64 * 1024
_RENEW_AT: Final = 2 / 3


class LoggedIn:
    """Keeps a client's token good; may be asked from several threads."""

    def __init__(self, client: Any, login: VaultLogin, monotonic: Callable[[], float]) -> None:  # noqa: ANN401 - hvac's
        self._client, self._login, self._monotonic = client, login, monotonic
        self._lock = Lock()
        self._renew_at: float | None = None
        self._is_renewable = False
        self._is_in = False

    def ensure(self) -> None:
        """Log in where we are not, renew where it is time.

        Raises:
            SigningError: a file cannot be read.
            Exception: whatever hvac or requests raise.
        """
        with self._lock:
            if not self._is_in:
                self._log_in()
            elif self._renew_at is not None and self._monotonic() >= self._renew_at:
                self._renew()

    def again(self, refused: str | None) -> None:
        """Log in anew because the token ``refused`` was; another thread may have done so already."""
        with self._lock:
            if self._client.token == refused:
                self._log_in()

    def _renew(self) -> None:
        from hvac.exceptions import VaultError  # noqa: PLC0415 - an extra

        if self._is_renewable:
            try:
                self._take(self._client.auth.token.renew_self()["auth"])
            except (VaultError, KeyError, TypeError):
                pass  # its longest life is near, or it was revoked: what follows is a login like the first
            else:
                return
        self._log_in()

    def _log_in(self) -> None:
        self._is_in = False
        if self._login.token_file is not None:
            self._client.token = _secret(self._login.token_file)
            data = self._client.auth.token.lookup_self()["data"]
            self._take({"lease_duration": data["ttl"], "renewable": data.get("renewable", False)})
            return
        self._client.token = None
        if self._login.kubernetes is not None:
            way = self._login.kubernetes
            answer = self._client.auth.kubernetes.login(way.role, _secret(way.jwt_file), mount_point=way.mount)
        else:
            assert self._login.app_role is not None  # noqa: S101 - the settings have exactly one
            role = self._login.app_role
            answer = self._client.auth.approle.login(role.role_id, _secret(role.secret_id_file), mount_point=role.mount)
        self._take(answer["auth"])

    def _take(self, auth: dict[str, Any]) -> None:
        seconds = auth["lease_duration"]
        # A root token, and one without end, say 0.
        self._renew_at = self._monotonic() + seconds * _RENEW_AT if seconds else None
        self._is_renewable = bool(auth.get("renewable"))
        self._is_in = True


def _secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_SECRET_BYTES + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise SigningError(f"{path} cannot be read: {why or type(error).__name__}") from None
    if not text or len(text) > _MOST_SECRET_BYTES:
        raise SigningError(f"{path} is empty, or too long for a secret")
    return text
