"""What is to be made of a document, as whoever loads it says."""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - attrs resolves it
from typing import TYPE_CHECKING

import attrs

from toka.tools.openapi._errors import InvalidDocumentError
from toka.tools.secrets._secrets import EnvironmentSecrets, Secrets, is_secret_name

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIX = re.compile(r"(?:[a-z][a-z0-9_]{0,31})?")


def _names(values: Iterable[str]) -> frozenset[str]:
    return frozenset(values)


@attrs.frozen(kw_only=True)
class OpenApiOptions:
    """Which operations become tools, where they are sent, and with which credentials."""

    tags: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    """Only operations with one of these; empty for all."""
    operations: frozenset[str] = attrs.field(default=frozenset(), converter=_names)
    """Only these, by `operationId` or as `GET /pets/{id}`; empty for all."""
    prefix: str = ""
    """Put before each tool's name, to keep those of several documents apart."""
    server: str = ""
    """The URL before all paths, instead of what the document says."""
    variables: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Of the server's URL, where the document's own values are not wanted."""
    security: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """Security scheme of the document to the name of a secret."""
    secrets: Secrets = attrs.field(factory=EnvironmentSecrets, repr=False)
    """Where the secrets are."""
    checks_results: bool = True
    """Whether an answer that breaks the document's schema is an error, or comes with a note."""

    def __attrs_post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise InvalidDocumentError(
                f"{self.prefix[:80]!r} cannot begin the name of a tool.",
                hint="Use a lower case letter, then letters, digits and '_', 32 at most.",
            )
        for scheme, name in self.security.items():
            if not is_secret_name(name):
                # It may be the secret itself, so it is not repeated.
                raise InvalidDocumentError(
                    f"What is given for the security scheme {scheme[:80]!r} is no secret's name.",
                    hint="Use lower case letters, digits, '_' and '-'; the value stays outside.",
                )
