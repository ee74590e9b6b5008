r"""The grammar of resources: one spelling for one thing, so that comparing text is sound.

A resource is printable ASCII without space, split into segments by `/`. What it names is a path
(`/data/x.txt`), a name (`git`, `anthropic/claude`) or something with an authority
(`https://api.example.com/v1`). Everything else is written as `%` and two upper-case hexadecimal
digits, one byte each.

A text that two programs could read as two different things is refused, never repaired:

- `.` and `..`, empty segments, `\`: a file system or a URL parser would resolve them away;
- escapes of what needs none (`%2E`, `%41`), of `/` and of NUL, lower-case or incomplete escapes:
  whoever decodes first would see another resource (RFC 3986, sections 6.2.2.2 and 7.3);
- an authority with user, upper case or anything that is no host and port; `?` and `#` after one:
  what stands behind them is no part of the path (a permission speaks of scheme, host and path);
- an escaped `\` in a URL, which some servers take for `/`.

Segments are kept as *atoms*: one character for each plain character or escape, so that `*` never
matches half of an escape.
"""

from __future__ import annotations

import re
from typing import Final

from toka.capability.core._errors import PermissionSyntaxError

MAX_PERMISSION_BYTES: Final = 512
"""Longest permission or request. The original's 64 does not hold a common absolute path."""

MAX_WILDCARDS: Final = 16
"""Wildcards in one permission; with this bound, deciding is linear in the request's length."""

_PLAIN: Final = frozenset(range(0x21, 0x7F)) - frozenset(b"%*\\")
_QUOTED: Final = [chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in range(256)]

_ESCAPE = re.compile(r"%([0-9A-F]{2})")
_BAD_ESCAPE = re.compile(
    r"%(?![0-9A-F]{2})"
    r"|%(?:00|2[DEF]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])"
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
_HOST = r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])"
_AUTHORITY = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_AUTHORITY_PATTERN = re.compile(rf"\*\*|(?:\*|(?:\*\.)?{_HOST})(?::(?:[0-9]{{1,5}}|\*))?")
_DOTS: Final = frozenset({".", ".."})


def quote_resource(text: str) -> str:
    """Write any text, for example a path, as a resource: what is outside the grammar is escaped.

    `/` stays, and so do dots: `..` is refused later, not hidden here. Wildcards and `%` are
    escaped, so the result always names exactly one thing. Undecodable bytes of a path (surrogate
    escapes) come back as those bytes. A URL that is already percent-encoded needs no quoting.

    Raises:
        PermissionSyntaxError: The text holds a surrogate that stands for no byte.
    """
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise PermissionSyntaxError(
            "A resource holds a lone surrogate, which has no bytes.",
            details={"position": error.start},
        ) from error
    return "".join([_QUOTED[byte] for byte in data])


def split_resource(resource: str) -> tuple[str, ...]:
    """Check a resource or a resource pattern and return its segments as atoms.

    Raises:
        PermissionSyntaxError: It is not in the grammar.
    """
    if "\\" in resource:
        raise _refused(resource, r"holds a plain '\'", r"Escape it as %5C.")
    segments = resource.split("/")
    if segments[0].endswith(":") and len(segments) > 1:
        _check_authority(resource, segments)
        path = segments[3:]
        if path and not path[-1]:
            path.pop()
    else:
        path = segments[1:] if not segments[0] and resource != "/" else segments
        if resource == "/":
            path = []
    _check_path(resource, path)
    if "*" in resource:
        _check_wildcards(resource, segments)
    if "%" in resource:
        return _atoms(resource, segments)
    return tuple(segments)


def _check_path(resource: str, path: list[str]) -> None:
    if "" in path:
        raise _refused(resource, "has an empty segment", "Write one '/' between segments.")
    if not _DOTS.isdisjoint(path):
        raise _refused(resource, "has a segment '.' or '..'", "Resolve the path first.")


def _check_authority(resource: str, segments: list[str]) -> None:
    authority = "".join(segments[2:3])
    grammar = _AUTHORITY_PATTERN if "*" in authority else _AUTHORITY
    if segments[1] or not _SCHEME.fullmatch(segments[0]) or not grammar.fullmatch(authority):
        raise _refused(
            resource,
            "is not scheme://host in lower case",
            "Write no user; '*' stands for a whole host, its first labels, or a port.",
        )
    if authority in _DOTS or "?" in resource or "#" in resource:
        raise _refused(resource, "has a query or fragment", "Name scheme, host and path only.")


def _check_wildcards(resource: str, segments: list[str]) -> None:
    if resource.count("*") > MAX_WILDCARDS:
        raise _refused(resource, f"has more than {MAX_WILDCARDS} wildcards", "Split it in two.")
    before = ""
    for segment in segments:
        if "**" in segment and (segment != "**" or before == "**"):
            raise _refused(resource, "uses '**' beside something else", "Make it a whole segment.")
        before = segment


def _atoms(resource: str, segments: list[str]) -> tuple[str, ...]:
    bad = _BAD_ESCAPE.search(resource)
    if bad or (segments[0].endswith(":") and "%5C" in resource):
        raise _refused(
            resource,
            "has an escape that is malformed or not the one spelling",
            "Escape only what needs it, as % and two upper-case hexadecimal digits.",
        )
    return tuple([_ESCAPE.sub(_atom, segment) for segment in segments])


def _atom(match: re.Match[str]) -> str:
    return chr(0x100 + int(match[1], 16))


def _refused(resource: str, why: str, hint: str) -> PermissionSyntaxError:
    return PermissionSyntaxError(f"The resource {resource[:80]!r} {why}.", hint=hint)
