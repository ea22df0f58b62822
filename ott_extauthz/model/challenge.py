"""What does a 401 or 403 ask the client to do?  ``WWW-Authenticate`` as a value (RFC 9110 §11.6, 6750 §3, 9470 §3)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge; ``error`` is None when no credential came at all (RFC 6750 §3.1)."""

    scheme: str
    realm: str
    error: str | None = None
    scope: str | None = None
    max_age_seconds: int | None = None
    algs: str | None = None
    error_description: str | None = None

    def __str__(self) -> str:
        parameters: list[tuple[str, str | None]] = [
            ("realm", self.realm),
            ("error", self.error),
            ("error_description", self.error_description),
            ("algs", self.algs),
            ("scope", self.scope),
            ("max_age", None if self.max_age_seconds is None else str(self.max_age_seconds)),
        ]
        return f"{self.scheme} " + ", ".join(f'{name}="{_quoted(value)}"' for name, value in parameters if value)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
