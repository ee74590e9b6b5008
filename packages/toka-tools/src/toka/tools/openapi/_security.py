"""Security schemes of a document, and the credentials of one request.

A scheme becomes a credential by the name of a secret: what is sent is known only inside of a call.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import quote

import attrs

from toka.tools.http._request import check_headers
from toka.tools.openapi._errors import InvalidDocumentError, UnsupportedOperationError
from toka.tools.secrets._secrets import Redactor, read_granted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.tools._context import Grants
    from toka.tools.openapi._document import Document
    from toka.tools.secrets._secrets import Secrets
    from toka.types import Json

Way: TypeAlias = Literal["header", "query", "cookie"]


@attrs.frozen
class Credential:
    """Where one secret goes."""

    scheme: str
    """Its name in the document."""
    way: Way
    name: str
    """Of the header, query parameter or cookie."""
    prefix: str
    """`Bearer ` or `Basic `, or nothing."""
    secret: str
    """The name of the secret; empty if none was configured for the scheme."""

    @property
    def place(self) -> tuple[str, str]:
        """What no argument may set: the way, and the name as it is compared there."""
        return self.way, self.name.lower() if self.way == "header" else self.name


@attrs.frozen
class Filled:
    """The credentials of one request, with their values."""

    headers: dict[str, str] = attrs.field(repr=False)
    query: tuple[str, ...] = attrs.field(repr=False)
    cookies: tuple[str, ...] = attrs.field(repr=False)
    redactor: Redactor


def credentials_of(
    document: Document, requirements: Json, secrets: Mapping[str, str]
) -> tuple[Credential, ...]:
    """Return the credentials of the first alternative for which all secrets are named.

    If there is none, that is no credentials where the document allows to call without, and else
    the first alternative, with credentials that lack their secret.

    Raises:
        UnsupportedOperationError: No alternative can be met by a secret.
    """
    if requirements is None or requirements == []:
        return ()
    if not isinstance(requirements, list):
        raise UnsupportedOperationError("`security` is not a list")
    found: list[tuple[Credential, ...]] = []
    faults: list[UnsupportedOperationError] = []
    for alternative in requirements:
        try:
            found.append(_alternative(document, alternative, secrets))
        except UnsupportedOperationError as error:
            faults.append(error)
    if not found:
        raise faults[0]
    complete = [each for each in found if each and all(one.secret for one in each)]
    return next(iter(complete), () if () in found else found[0])


def _alternative(
    document: Document, alternative: Json, secrets: Mapping[str, str]
) -> tuple[Credential, ...]:
    if not isinstance(alternative, dict):
        raise UnsupportedOperationError("a security requirement is not an object")
    return tuple([_credential(document, name, secrets.get(name, "")) for name in alternative])


def _credential(document: Document, scheme: str, secret: str) -> Credential:
    pointer = f"#/components/securitySchemes/{_escaped(scheme)}"
    found = document.resolved({"$ref": pointer}, f"the security scheme {scheme[:80]}")
    kind, way = found.get("type"), found.get("in")
    if kind == "apiKey" and way in ("header", "query", "cookie"):
        return Credential(scheme, way, str(found.get("name")), "", secret)
    if kind in ("oauth2", "openIdConnect"):
        return Credential(scheme, "header", "Authorization", "Bearer ", secret)
    words = {"bearer": "Bearer ", "basic": "Basic "}
    word = words.get(str(found.get("scheme")).lower())
    if kind == "http" and word:
        return Credential(scheme, "header", "Authorization", word, secret)
    raise UnsupportedOperationError(f"the security scheme {scheme[:80]!r} is of another kind")


def _escaped(name: str) -> str:
    return quote(name.replace("~", "~0").replace("/", "~1"), safe="~")


def check_schemes(document: Document, secrets: Mapping[str, str]) -> None:
    """Refuse secrets for schemes that the document does not have: a misspelt name sends nothing.

    Raises:
        InvalidDocumentError: It has no such scheme.
    """
    components = document.root.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    known = sorted(schemes) if isinstance(schemes, dict) else []
    for name in secrets:
        if name not in known:
            raise InvalidDocumentError(
                f"{document.source} has no security scheme {name[:80]!r}.",
                hint=f"It has {', '.join(known)}." if known else "It has none.",
            )


async def fill(credentials: tuple[Credential, ...], secrets: Secrets, granted: Grants) -> Filled:
    """Return the credentials with their values, for one request.

    Raises:
        AccessDeniedError: The caller may not use one of the secrets.
        SecretMissingError: There is none of this name.
        InvalidArgumentsError: A value cannot stand in a header. It is not told.
    """
    headers: dict[str, str] = {}
    query: list[str] = []
    cookies: list[str] = []
    values: list[tuple[str, str]] = []
    for one in credentials:
        value = await read_granted(secrets, one.secret, granted)
        forms = _forms(one, value)
        values += [(one.secret, form) for form in forms]
        sent = one.prefix + forms[0]
        if one.way == "header":
            headers[one.name] = sent
        else:
            pair = f"{quote(one.name, safe='')}={quote(sent, safe='')}"
            (query if one.way == "query" else cookies).append(pair)
    check_headers(headers)
    return Filled(headers, tuple(query), tuple(cookies), Redactor.of(values))


def _forms(credential: Credential, value: str) -> list[str]:
    """Return what is sent, and the other texts by which an answer could give it away."""
    escaped = quote(value, safe="")
    if credential.prefix != "Basic ":
        return [value, escaped]
    password = value.partition(":")[2]
    return [base64.b64encode(value.encode()).decode(), value, password, quote(password, safe="")]
