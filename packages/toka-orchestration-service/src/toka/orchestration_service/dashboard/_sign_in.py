"""Signing in with a token or a link, and out again."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from aiohttp import web

from toka.auth import AuthenticationError
from toka.orchestration_service.dashboard._links import SIGN_IN
from toka.orchestration_service.dashboard._session import (
    MAX_COOKIE_BYTES,
    begin_session,
    end_session,
    require_same_origin,
)
from toka.orchestration_service.dashboard._templates import theme_of

if TYPE_CHECKING:
    from toka.orchestration_service._service import Service
    from toka.orchestration_service.dashboard._templates import Templates

HOME = "/ui/runs"

_REFUSED = (
    "That token is not accepted. It may have expired or been taken back, or lack a character."
)
_BOUND = "That token is bound to a key that a browser does not have. Use one that is not."
_USED = "That link was used before, or is too old. Ask for another one, or paste a token."
_LONG = "That token is longer than a browser keeps. Use one that was handed on fewer times."


def sign_in_path(request: web.Request) -> str:
    """Return where to sign in for getting to what was asked for."""
    wanted = str(request.rel_url)
    return SIGN_IN if wanted == HOME else f"{SIGN_IN}?next={quote(wanted, safe='')}"


class SignIn:
    """The page before all others."""

    def __init__(self, service: Service, templates: Templates) -> None:
        self._service = service
        self._templates = templates

    async def show(self, request: web.Request) -> web.Response:
        """Show the form."""
        return self._form(request, "", 200)

    async def begin(self, request: web.Request) -> web.Response:
        """Begin a session with a token, or with the code of a link.

        Raises:
            ForeignRequest: Another site sent the form.
        """
        public_url = self._service.settings.public_url
        require_same_origin(request, public_url)
        form = await request.post()
        token, fault = self._token(str(form.get("token", "")).strip(), str(form.get("code", "")))
        fault = fault or await self._fault(token)
        if fault:
            return self._form(request, fault, 401)
        response = web.Response(status=303, headers={"Location": _next(request)})
        begin_session(response, request, public_url, token)
        return response

    async def end(self, request: web.Request) -> web.Response:
        """End the session in this browser. The token stays good; it can be taken back.

        Raises:
            ForeignRequest: Another site sent the form.
        """
        public_url = self._service.settings.public_url
        require_same_origin(request, public_url)
        response = web.Response(
            status=303, headers={"Location": SIGN_IN, "Clear-Site-Data": '"cache"'}
        )
        end_session(response, request, public_url)
        return response

    def _token(self, token: str, code: str) -> tuple[str, str]:
        """Return the token that is presented, and what is wrong with how it is."""
        if not code:
            return token, ""
        links = self._service.settings.links
        redeemed = links.redeem(code) if links is not None else ""
        return redeemed, "" if redeemed else _USED

    async def _fault(self, token: str) -> str:
        if len(token) > MAX_COOKIE_BYTES:
            return _LONG
        try:
            await self._service.authenticator.authenticate_fetching(token)
        except AuthenticationError:
            return _BOUND if self._is_bound(token) else _REFUSED
        return ""

    def _is_bound(self, token: str) -> bool:
        try:
            return self._service.authenticator.identify(token).holder is not None
        except AuthenticationError:
            return False

    def _form(self, request: web.Request, fault: str, status: int) -> web.Response:
        return self._templates.response(
            "login.html",
            {"fault": fault, "next": _next(request), "theme": theme_of(request)},
            status=status,
        )


def _next(request: web.Request) -> str:
    """Return the page to go to, which is one of ours whatever the address says."""
    wanted = request.query.get("next", "")
    parts = urlsplit(wanted)
    is_ours = not parts.scheme and not parts.netloc and parts.path.startswith("/ui/")
    return wanted if is_ours and wanted.isprintable() and "\\" not in wanted else HOME
