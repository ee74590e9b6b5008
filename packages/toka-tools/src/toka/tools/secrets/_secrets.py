"""Secrets by name: options, tools and errors hold the name, only a call holds the value."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from toka.tools._errors import AccessDeniedError, ToolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toka.tools._context import Grants
    from toka.types import Json

MIN_REDACTED_CHARACTERS: Final = 4
"""Shorter values are part of ordinary words."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class SecretMissingError(ToolError, LookupError):
    """A call needs a secret that is not set; nothing was sent."""

    default_code = "tools.secret_missing"


class Secrets(Protocol):
    """Where the values of secrets come from."""

    async def read(self, name: str) -> str:
        """Return the value of a secret.

        Raises:
            SecretMissingError: There is none of this name.
        """
        ...


@attrs.frozen
class EnvironmentSecrets:
    """Secrets in environment variables: `github-token` is in `TOKA_SECRET_GITHUB_TOKEN`.

    Names have no `_` here: `github_token` would be the same variable under another permission.
    """

    prefix: str = "TOKA_SECRET_"
    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)

    async def read(self, name: str) -> str:
        """Return the value of a secret.

        Raises:
            SecretMissingError: The variable is not set, or empty, or the name has a `_`.
        """
        variable = self.prefix + name.upper().replace("-", "_")
        if "_" in name or not is_secret_name(name):
            raise SecretMissingError(
                f"No variable stands for the secret {name[:80]!r} alone.",
                hint=f"Name it {name.lower().replace('_', '-')[:80]}, which {variable[:80]} is.",
                details={"secret": name[:80]},
            )
        value = self.environ.get(variable, "")
        if not value:
            raise SecretMissingError(
                f"The secret {name} is not set.", hint=f"Set {variable}.", details={"secret": name}
            )
        return value


def secret_request(name: str) -> str:
    """Return the permission request for the use of a secret."""
    return f"secret:use:{name}"


def is_secret_name(name: str) -> bool:
    """Say whether this can name a secret: lower case letters, digits, `_` and `-`."""
    return bool(_NAME.fullmatch(name))


async def read_granted(secrets: Secrets, name: str, granted: Grants) -> str:
    """Return the value of a secret that the caller may use.

    Raises:
        AccessDeniedError: The caller may not.
        SecretMissingError: There is none of this name.
    """
    request = secret_request(name)
    if not granted.covers(request):
        raise AccessDeniedError(
            f"The call needs {request}, which is not granted.", details={"request": request}
        )
    return await secrets.read(name)


@attrs.frozen
class Redactor:
    """Takes the values of secrets out of what a server sends back, wherever it repeats them."""

    _values: tuple[tuple[str, str], ...] = attrs.field(repr=False)

    @classmethod
    def of(cls, values: Iterable[tuple[str, str]]) -> Redactor:
        """Return the redactor of these names with values; the longest goes first."""
        long = [pair for pair in values if len(pair[1]) >= MIN_REDACTED_CHARACTERS]
        return cls(tuple(sorted(long, key=lambda pair: -len(pair[1]))))

    def text(self, text: str) -> str:
        """Return text without them."""
        for name, value in self._values:
            text = text.replace(value, f"[secret: {name}]")
        return text

    def data(self, data: bytes) -> bytes:
        """Return bytes without them."""
        for name, value in self._values:
            data = data.replace(value.encode(), f"[secret: {name}]".encode())
        return data

    def json(self, value: Json) -> Json:
        """Return a JSON value without them, in keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in value.items()}
        return value
