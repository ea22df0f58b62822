"""How is an API key listed?  Everything of it but the hash."""

from typing import Any

from ott_extauthz.authn.api_key_entry import KeyEntry, instant_from


def row_of(entry: KeyEntry, now_ms: int) -> dict[str, Any]:
    """Return what is shown of a key at an instant."""
    return {
        "id": entry.id,
        "client_id": entry.client_id,
        "state": "expired" if now_ms >= instant_from(entry.expires) else "valid",
        "expires": entry.expires,
        "scopes": entry.scopes,
        "cidr": entry.cidr,
        "brands": entry.brands,
        "certificate": entry.certificate,
        "created": entry.created,
        "note": entry.note,
    }


def cell(value: str | list[str] | None) -> str:
    """Return a value as a column of text: one line, never empty."""
    text = ",".join(value) if isinstance(value, list) else value or ""
    return text if text.isprintable() and text else "-"
