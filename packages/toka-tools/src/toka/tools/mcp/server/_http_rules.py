"""What an HTTP request has to be before its body is looked at, and what its headers have to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast
from urllib.parse import SplitResult, urlsplit

from toka.tools.mcp._errors import (
    BUSY,
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    PARSE_ERROR,
    UNSUPPORTED_REVISION,
    ProtocolError,
)
from toka.tools.mcp._header_values import check_header_values, decode_value
from toka.tools.mcp._revisions import HEADER_METHOD, HEADER_NAME, HEADER_REVISION, NAMED_BY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multidict import CIMultiDictProxy

    from toka.tools.mcp._header_values import HeaderParameter
    from toka.types import JsonObject

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

STATUS: Final = {
    BUSY: 503,
    HEADER_MISMATCH: 400,
    INVALID_PARAMS: 400,
    INVALID_REQUEST: 400,
    METHOD_NOT_FOUND: 404,
    MISSING_CAPABILITY: 400,
    PARSE_ERROR: 400,
    UNSUPPORTED_REVISION: 400,
}
"""The HTTP status of a JSON-RPC error since 2026-07-28; 200 for any other."""


def is_allowed_host(host: str, allowed: Iterable[str]) -> bool:
    """Whether a `Host` header names us: against names of others that lead to our address."""
    parts = _split(f"//{host}")
    return parts is not None and parts.hostname is not None and parts.hostname in allowed


def is_allowed_origin(origin: str, allowed: Iterable[str], hosts: Iterable[str]) -> bool:
    """Whether a page of this origin may call: one that was named, or one of our own machine."""
    if origin in allowed:
        return True
    parts = _split(origin)
    return (
        parts is not None
        and parts.scheme in {"http", "https"}
        and parts.hostname in LOOPBACK.intersection(hosts)
    )


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # A bracket that is never closed, or holds no address.
        return None


def accepts(accept: str | None, *kinds: str) -> bool:
    """Whether an `Accept` header takes each of these media types; a missing one takes anything."""
    if accept is None:
        return True
    taken = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return all(
        kind in taken or f"{kind.partition('/')[0]}/*" in taken or "*/*" in taken for kind in kinds
    )


def check_headers(
    headers: CIMultiDictProxy[str], revision: str, method: str, params: JsonObject
) -> None:
    """Compare the headers of the stateless era with the body that they are about.

    Raises:
        ProtocolError: `HEADER_MISMATCH`: one is missing, said twice, or says something else.
    """
    _same(headers, HEADER_REVISION, revision)
    _same(headers, HEADER_METHOD, method)
    named = params.get(NAMED_BY[method]) if method in NAMED_BY else None
    if isinstance(named, str):
        _same(headers, HEADER_NAME, named, wrapped=True)


def _same(headers: CIMultiDictProxy[str], name: str, wanted: str, *, wrapped: bool = False) -> None:
    said = headers.getall(name, [])
    value = said[0] if len(said) == 1 else None
    if value is not None and wrapped:
        value = decode_value(value)
    if value != wanted:
        raise ProtocolError(f"{name} does not say what the body says.", HEADER_MISMATCH)


def check_parameters(
    headers: CIMultiDictProxy[str], parameters: tuple[HeaderParameter, ...], params: JsonObject
) -> None:
    """Compare the arguments of a call with the headers that its tool wants them in.

    Raises:
        ProtocolError: `HEADER_MISMATCH`.
    """
    if not parameters:
        return
    arguments = params.get("arguments", {})
    said: dict[str, str] = {}
    for one in parameters:
        values = headers.getall(one.header, [])
        if len(values) > 1:
            raise ProtocolError(f"{one.header} is said more than once.", HEADER_MISMATCH)
        if values:
            said[one.header] = values[0]
    if isinstance(arguments, dict):
        check_header_values(parameters, cast("JsonObject", arguments), said)
