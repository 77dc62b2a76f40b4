"""Access to the fields of objects that may lack them or hold something else there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def _reached(value: object, keys: tuple[str, ...]) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def mapping(value: object, *keys: str) -> dict[str, Any]:
    """Give the mapping that is reached by keys, else an empty one."""
    value = _reached(value, keys)
    return value if isinstance(value, dict) else {}


def mappings(value: object, *keys: str) -> list[dict[str, Any]]:
    """List the mappings in the sequence that is reached by keys."""
    value = _reached(value, keys)
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def text(value: object, *keys: str) -> str | None:
    """Give the text that is reached by keys; empty text is none."""
    value = _reached(value, keys)
    return value if isinstance(value, str) and value else None


def texts(value: object, *keys: str) -> list[str]:
    """List the texts in the sequence that is reached by keys."""
    value = _reached(value, keys)
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str) and item]


def time(value: object, *keys: str) -> datetime | None:
    """Give the time that is reached by keys; YAML may hold it as a time already."""
    value = _reached(value, keys)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def pairs(value: object, *keys: str) -> tuple[tuple[str, str], ...]:
    """Give the mapping of names to texts that is reached by keys, sorted."""
    found = mapping(value, *keys)
    return tuple(sorted((str(key), str(item)) for key, item in found.items()))
