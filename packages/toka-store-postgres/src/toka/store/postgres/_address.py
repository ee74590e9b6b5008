"""Where a store is: a database of a server, and a schema in it that is the store's alone."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import attrs

from toka.store.core import OpenRefused

SCHEME: Final = "postgresql:"

_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,54}")
_PASSWORDS: Final = ("password", "passfile", "sslpassword")


@attrs.frozen
class Address:
    """Parts of a store's URL."""

    dsn: str = attrs.field(repr=False)
    """What asyncpg connects to; may hold a password."""
    schema: str
    location: str
    """The URL without a password."""

    @property
    def channel(self) -> str:
        """Return where commits are announced."""
        return f"toka_{self.schema}"


def parse(location: str) -> Address:
    """Return the parts of what follows `postgresql:`, as in `//user@host:5432/db?schema=toka`.

    Raises:
        OpenRefused: It is no such URL, or the schema's name is not one.
    """
    parts = urlsplit(SCHEME + location)
    if not location.startswith("//") or parts.fragment:
        raise _refusal("it is not like postgresql://user@host:5432/database?schema=toka", location)
    options = parse_qsl(parts.query, keep_blank_values=True)
    schemas = [value for name, value in options if name == "schema"] or ["toka"]
    others = [(name, value) for name, value in options if name != "schema"]
    if len(schemas) > 1 or not _SCHEMA.fullmatch(schemas[0]):
        raise _refusal("a schema's name is of a-z, 0-9 and _, at most 55 characters", location)
    shown = [(name, value) for name, value in others if name not in _PASSWORDS]
    return Address(
        urlunsplit(parts._replace(query=urlencode(others))),
        schemas[0],
        urlunsplit(
            parts._replace(
                netloc=_without_password(parts.netloc),
                query=urlencode([*shown, ("schema", schemas[0])]),
            )
        ),
    )


def _without_password(netloc: str) -> str:
    user, at, hosts = netloc.rpartition("@")
    return quote(user.partition(":")[0], safe="%") + at + hosts


def _refusal(why: str, location: str) -> OpenRefused:
    netloc = urlsplit(SCHEME + location).netloc
    shown = location.replace(netloc, _without_password(netloc), 1) if netloc else location
    return OpenRefused(
        f"The address {SCHEME + shown.partition('?')[0]!r} cannot be used: {why}.",
        code="store.invalid_location",
        hint="As in postgresql://user@host:5432/database?schema=toka; the password is best in the"
        " environment (PGPASSWORD) or in a password file.",
    )
