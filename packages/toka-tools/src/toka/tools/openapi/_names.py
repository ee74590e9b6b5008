"""Names that fit: of tools from operations, and of arguments from parameters."""

from __future__ import annotations

import hashlib
import re
from typing import Final

MAX_TOOL_NAME: Final = 64

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_NOT_IN_ARGUMENT = re.compile(r"[^A-Za-z0-9_.-]")


def tool_name(prefix: str, operation: str, method: str, path: str) -> str:
    """Return `list_pets` for `listPets`, and `get_pets_id` for an unnamed `GET /pets/{id}`."""
    text = _WORD_STARTS.sub("_", operation) if operation else f"{method}_{path}"
    name = prefix + _OTHER.sub("_", text.lower()).strip("_")
    if not name[:1].isalpha():
        name = f"op_{name}"
    if len(name) <= MAX_TOOL_NAME:
        return name
    # Long names are often alike at their beginning.
    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{name[: MAX_TOOL_NAME - 9]}_{digest}"


def argument_name(name: str) -> str:
    """Return a parameter's name in the characters that every model's provider accepts."""
    return _NOT_IN_ARGUMENT.sub("_", name)[:64] or "_"
