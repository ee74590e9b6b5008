"""A session is a capability token in a cookie, and nothing that the service would have to keep.

It outlives a restart, ends with the token, and is taken back as the token is. Scripts cannot read
the cookie and other sites cannot send it. What changes anything must also carry a mark that only
pages of this service show: another port of the same host counts as the same site to a browser.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from toka.orchestration_service._errors import ForeignRequest

if TYPE_CHECKING:
    from aiohttp import web

MARK_HEADER: Final = "X-Toka-Mark"
MAX_COOKIE_BYTES: Final = 3_800
"""Browsers drop cookies whose name, value and attributes are over 4,096 bytes."""

_SAFE: Final = frozenset({"GET", "HEAD"})
_OWN: Final = frozenset({"same-origin", "none"})


def cookie_of(request: web.Request, public_url: str | None) -> str:
    """Return the name of the session's cookie.

    Cookies know no ports: two services on one host must not sign each other's people out. Over TLS
    the prefix keeps other hosts of a domain from setting it.
    """
    if _is_encrypted(public_url):
        return "__Host-toka_session"
    return f"toka_session_{urlsplit(f'//{request.host}').port or 80}"


def session_token(request: web.Request, public_url: str | None) -> str:
    """Return the token of the session that a request belongs to; empty if there is none.

    Raises:
        ForeignRequest: There is one, and a page of somebody else's makes use of it.
    """
    token = request.cookies.get(cookie_of(request, public_url), "")
    if token:
        _require_own(request, token)
    return token


def mark_of(token: str) -> str:
    """Return what a session's requests carry that change something; it does not tell the token."""
    return hmac.digest(token.encode(), b"toka dashboard", "sha256").hex()


def require_same_origin(request: web.Request, public_url: str | None) -> None:
    """Refuse a form that another origin sends, for example to sign a person in as somebody else.

    Raises:
        ForeignRequest: It comes from elsewhere, or does not say where from.
    """
    site = request.headers.get("Sec-Fetch-Site", "")
    origin = request.headers.get("Origin", "")
    own = public_url.rstrip("/") if public_url else str(request.url.origin())
    if site not in ("", "same-origin") or (not site and origin != own):
        raise ForeignRequest


def begin_session(
    response: web.Response, request: web.Request, public_url: str | None, token: str
) -> None:
    """Put a token into the session's cookie."""
    response.set_cookie(
        cookie_of(request, public_url),
        token,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=_is_encrypted(public_url),
    )


def end_session(response: web.Response, request: web.Request, public_url: str | None) -> None:
    """Take the session's cookie away."""
    response.del_cookie(
        cookie_of(request, public_url), path="/", secure=_is_encrypted(public_url), httponly=True
    )


def _require_own(request: web.Request, token: str) -> None:
    site = request.headers.get("Sec-Fetch-Site", "none")
    navigates = request.headers.get("Sec-Fetch-Mode") == "navigate"
    if request.method in _SAFE:
        if site not in _OWN and not navigates:
            raise ForeignRequest
        return
    mark = request.headers.get(MARK_HEADER, "")
    if site not in _OWN or not hmac.compare_digest(mark.encode(), mark_of(token).encode()):
        raise ForeignRequest


def _is_encrypted(public_url: str | None) -> bool:
    return public_url is not None and public_url.lower().startswith("https:")
