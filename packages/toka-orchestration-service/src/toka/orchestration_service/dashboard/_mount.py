"""The dashboard as a part of the application: sign-in, pages and assets below one path."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import msgspec
from aiohttp import web

from toka.auth import AuthenticationError
from toka.orchestration_service._errors import NotFound
from toka.orchestration_service._problems import MEDIA_TYPE, problems
from toka.orchestration_service._statuses import problem_of
from toka.orchestration_service.dashboard._api import Api
from toka.orchestration_service.dashboard._assets import Assets
from toka.orchestration_service.dashboard._links import SIGN_IN
from toka.orchestration_service.dashboard._pages import PAGES
from toka.orchestration_service.dashboard._session import mark_of, session_token
from toka.orchestration_service.dashboard._sign_in import HOME, SignIn, sign_in_path
from toka.orchestration_service.dashboard._templates import Templates, theme_of
from toka.types import TokaError

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from toka.orchestration_service._service import Service
    from toka.orchestration_service.dashboard._pages import Page

ROOT: Final = "/ui"
LIVE_HEADER: Final = "X-Toka-Live"
"""Sent by the script that keeps a page live: it cannot follow a redirection to the sign-in."""


def is_page(path: str) -> bool:
    """Say whether the dashboard answers at a path; it finds out itself who asks."""
    return path in ("/", ROOT) or path.startswith(f"{ROOT}/")


def add_dashboard(app: web.Application, service: Service) -> None:
    """Mount the dashboard."""
    assets = Assets()
    templates = Templates(assets, service.version)
    sign_in = SignIn(service, templates)
    # Outermost but for what measures: whatever was refused, people get a page of it.
    app.middlewares.insert(app.middlewares.index(problems), _for_people(templates))
    router = app.router
    router.add_get("/", _to_runs)
    router.add_get(ROOT, _to_runs)
    router.add_get(SIGN_IN, sign_in.show)
    router.add_post(SIGN_IN, sign_in.begin)
    router.add_post(f"{ROOT}/logout", sign_in.end)
    router.add_get(
        f"{ROOT}/static/{{version:[0-9a-f]{{16}}}}/{{name:[a-z-]+[.][a-z]+}}", assets.serve
    )
    for page in PAGES:
        router.add_get(page.pattern, _shown(service, templates, page))
    router.add_get(f"{ROOT}/{{rest:.*}}", _shown(service, templates, None))


def _for_people(templates: Templates) -> Middleware:
    """Return what shows a problem document that a person would get as a page."""

    @web.middleware
    async def show(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not is_page(request.path) or LIVE_HEADER in request.headers:
            return response
        if response.content_type != MEDIA_TYPE or not isinstance(response, web.Response):
            return response
        problem = msgspec.json.decode(cast("bytes", response.body))
        context = {"problem": problem, "theme": theme_of(request)}
        return templates.response("fault.html", context, status=response.status)

    return show


async def _to_runs(_: web.Request) -> web.Response:
    return _moved(HOME)


def _moved(path: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})


def _shown(service: Service, templates: Templates, page: Page | None) -> Handler:
    """Return a handler that shows a page to whoever is signed in, and the sign-in to others."""

    async def show(request: web.Request) -> web.StreamResponse:
        try:
            api = await _session(service, request)
        except AuthenticationError:
            if LIVE_HEADER in request.headers:
                raise
            return _moved(sign_in_path(request))
        try:
            if page is None:
                raise NotFound(f"There is no page {request.path[:200]}.")
            return await _page(templates, page, api)
        except TokaError as error:
            return _refusal(templates, api, error)

    return show


async def _session(service: Service, request: web.Request) -> Api:
    """Return the API for who is signed in.

    Raises:
        AuthenticationError: Nobody is.
        ForeignRequest: Somebody else's page makes use of the session.
    """
    token = session_token(request, service.settings.public_url)
    if not token:
        raise AuthenticationError
    claims = await service.authenticator.authenticate_fetching(token)
    return Api(service, request, token, claims)


async def _page(templates: Templates, page: Page, api: Api) -> web.Response:
    # Before anything is read: what happens meanwhile is told again rather than missed.
    position = api.service.runtime.position
    context = await page.handler(api)
    frame = _frame(api, page.section) | {"position": position, "live": _live(page, api)}
    frame["waiting"] = len((await api.get("/v1/approvals"))["approvals"])
    return templates.response(page.template, frame | context)


def _live(page: Page, api: Api) -> str | None:
    """Return which events change a page; None if it stands still."""
    if page.live is None:
        return None
    parts = dict(api.request.match_info)
    run = parts.get("run") or parts.get("agent", "").partition("/")[0]
    return page.live.format(run=run)


def _refusal(templates: Templates, api: Api, error: TokaError) -> web.Response:
    problem = problem_of(error)
    return templates.response(
        "error.html", _frame(api, "") | {"problem": problem}, status=problem.status
    )


def _frame(api: Api, section: str) -> dict[str, object]:
    """Return what every page shows around its own."""
    return {
        "section": section,
        "position": 0,
        "live": None,
        "waiting": 0,
        "subject": api.claims.subject,
        "mark": mark_of(api.token),
        "query": dict(api.request.query),
        "theme": theme_of(api.request),
    }
