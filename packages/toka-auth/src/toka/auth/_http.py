"""The endpoints as an aiohttp application, to be mounted below any path of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.auth._endpoints import Answer
from toka.auth._errors import AuthenticationError
from toka.auth._presented import Proof

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from toka.auth._dpop import DpopProofs
    from toka.auth._endpoints import Endpoints
    from toka.capability.core import Claims

MAX_FORM_BYTES: Final = 65_536

_FORM: Final = "application/x-www-form-urlencoded"
_UNAUTHENTICATED: Final = Answer(
    401,
    {"error": "invalid_client", "error_description": "The credential is not accepted."},
    (("WWW-Authenticate", "Bearer"), ("WWW-Authenticate", "DPoP"), ("Cache-Control", "no-store")),
)


def auth_application(
    endpoints: Endpoints, *, base_url: str | None = None, proofs: DpopProofs | None = None
) -> web.Application:
    """Return an application with `POST /token`, `/introspect`, `/revoke` and `GET /jwks`.

    Args:
        endpoints: What answers.
        base_url: Scheme, host and port as clients see them, for proofs of possession behind a
            proxy; what the request says if left out.
        proofs: What the authenticator checks proofs with; if it demands nonces, every answer to a
            caller gives the next one out (RFC 9449, section 8.2), and a refusal says that one may
            have been missing, whatever was.
    """
    from aiohttp import web  # noqa: PLC0415 - slow to import, and functions do without it

    async def token(request: web.Request) -> web.Response:
        return _response(await endpoints.exchange(await _form(request)))

    async def introspect(request: web.Request) -> web.Response:
        caller = await _caller(request)
        if caller is None:
            return _response(_UNAUTHENTICATED)
        return _response(endpoints.introspect(await _form(request), caller))

    async def revoke(request: web.Request) -> web.Response:
        caller = await _caller(request)
        if caller is None:
            return _response(_UNAUTHENTICATED)
        return _response(await endpoints.revoke(await _form(request), caller))

    async def jwks(_request: web.Request) -> web.Response:
        return _response(endpoints.jwks())

    async def _caller(request: web.Request) -> Claims | None:
        credential, proof = credential_of(request, base_url=base_url)
        try:
            return await endpoints.authenticator.authenticate_fetching(credential, proof)
        except AuthenticationError:
            return None

    application = web.Application()
    if proofs is not None:
        application.on_response_prepare.append(_nonce_giver(proofs))
    application.add_routes(
        [
            web.post("/token", token),
            web.post("/introspect", introspect),
            web.post("/revoke", revoke),
            web.get("/jwks", jwks),
        ]
    )
    return application


def _nonce_giver(
    proofs: DpopProofs,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def give(_request: web.Request, response: web.StreamResponse) -> None:
        nonce = proofs.nonce
        if nonce is not None:
            response.headers["DPoP-Nonce"] = nonce
            if response.status == _UNAUTHENTICATED.status:
                response.headers.add("WWW-Authenticate", 'DPoP error="use_dpop_nonce"')

    return give


def credential_of(request: web.Request, *, base_url: str | None = None) -> tuple[str, Proof | None]:
    """Return the credential of a request and its proof; empty where there is none, or two."""
    presented = request.headers.getall("Authorization", [])
    # Of two, a proxy may have looked at the other one.
    scheme, _, credential = (presented[0] if len(presented) == 1 else "").partition(" ")
    if scheme.lower() not in ("bearer", "dpop"):
        return "", None
    proofs = request.headers.getall("DPoP", [])
    if len(proofs) != 1:
        return credential, None
    origin = str(request.url.origin()) if base_url is None else base_url.rstrip("/")
    return credential, Proof(proofs[0], request.method, origin + request.rel_url.raw_path)


async def _form(request: web.Request) -> dict[str, str]:
    """Return the members of a form; one that comes twice is left out (RFC 6749, section 3.2)."""
    if request.content_type != _FORM:
        return {}
    # An application that is mounted in another has the other's limit, which may be any.
    form = await request.clone(client_max_size=MAX_FORM_BYTES).post()
    return {
        name: value
        for name in form
        if isinstance(value := form[name], str) and len(form.getall(name)) == 1
    }


def _response(answer: Answer) -> web.Response:
    from aiohttp import web  # noqa: PLC0415 - see above

    response = web.json_response(answer.body, status=answer.status)
    for name, value in answer.headers:
        response.headers.add(name, value)
    return response
