"""What a format does with what it cannot say.

Content that is missing changes the question: it is refused. Notes on content (where to cache, what
was cited, another provider's reasoning) only help: they are left out, unless losses are forbidden.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.llm_gateway._errors import NotTranslatable

if TYPE_CHECKING:
    from toka.llm_gateway._messages import Format, Native
    from toka.llm_gateway._request import ModelRequest
    from toka.types import JsonObject

_HARMLESS: Final = frozenset(
    {
        "client_metadata",
        "context_management",
        "include",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "thinking",
        "stream_options",
        "truncation",
        "user",
        "verbosity",
    }
)
"""Fields about bookkeeping: the answer is the same one without them. What `thinking` says is in the
request's effort."""


@attrs.frozen
class Translation:
    """The rules of one dialect."""

    format: Format
    strict: bool = False
    """Whether anything that is left out is an error."""

    def leave_out(self, what: str) -> None:
        """Take notice that a note is not said.

        Raises:
            NotTranslatable: No loss is allowed.

        """
        if self.strict:
            raise self.refuse(what)

    def refuse(self, what: str) -> NotTranslatable:
        """Return the error that says what the format has no word for."""
        return NotTranslatable(
            f"The format {self.format!r} of this provider cannot carry {what}.",
            hint="Take a provider that can, or leave it out of the request.",
            details={"what": what, "format": self.format},
        )

    def native(self, part: Native) -> JsonObject:
        """Return content that is this format's own.

        Raises:
            NotTranslatable: It is another format's.

        """
        if part.format != self.format:
            raise self.refuse(f"content of type {part.kind[:40]!r} of {part.format!r}")
        return part.data

    def native_fields(self, request: ModelRequest) -> JsonObject:
        """Return the fields of a request that are this format's own.

        Raises:
            NotTranslatable: There are another format's, and they bear on the answer.

        """
        native = request.native
        if native is None:
            return {}
        if native.format == self.format:
            return native.fields
        for name in native.fields:
            if name not in _HARMLESS:
                raise self.refuse(f"the field {name[:40]!r} of {native.format!r}")
            self.leave_out(f"the field {name[:40]!r} of {native.format!r}")
        return {}
