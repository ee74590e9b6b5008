"""Secrets, by the names of their keys: shown as stars unless it is said that they may be seen."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from toka.config_cli._key_path import KeyPath
    from toka.config_cli._value import Value

STARS = "********"
_WORDS = r"pass(?:word|wd|phrase|code)|secret|token|credentials?|authorization|cookie"
_PAIRS = r"(?:api|private|access|signing|encryption|secret|auth|ssh)[_-]?key"
_SECRET = re.compile(rf"(?<![a-z])(?:{_WORDS}|{_PAIRS})(?![a-z])", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LINE = re.compile(
    r"(?P<key>(?P<quote>[\"']?)[A-Za-z0-9_.-]+(?P=quote))(?P<sign>\s*[:=]\s*)(?P<value>[^\s,{}\[\]#].*)"
)
_ADDRESS = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)")
_REFERENCE = re.compile(r"\$\{[^}]*\}")


def is_secret(key: str) -> bool:
    """Say whether a key's name says that its value is nobody's business."""
    return _SECRET.search(_CAMEL.sub("_", key)) is not None


def mask(value: Value, path: KeyPath = ()) -> Value:
    """Return a value with stars for texts below secret keys, and for passwords in addresses."""
    secret = any(isinstance(segment, str) and is_secret(segment) for segment in path)
    return _mask(value, secret=secret)


def _mask(value: Value, *, secret: bool) -> Value:
    if isinstance(value, dict):
        return {key: _mask(item, secret=secret or is_secret(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask(item, secret=secret) for item in value]
    if not isinstance(value, str):
        return value
    if secret:
        # A reference to a variable tells nothing but the variable's name.
        return value if not value or _REFERENCE.fullmatch(value) else STARS
    return _ADDRESS.sub(rf"\1{STARS}\2", value)


def mask_line(line: str) -> str:
    """Return a line of a file with what stands behind a secret key as stars."""

    def stars(match: re.Match[str]) -> str:
        if not is_secret(match["key"]):
            return match[0]
        return f"{match['key']}{match['sign']}{STARS}"

    return _LINE.sub(stars, _ADDRESS.sub(rf"\1{STARS}\2", line))
