"""The formats that are served, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toka.llm_gateway.formats.anthropic._face import AnthropicFace
from toka.llm_gateway.formats.chat._face import ChatFace
from toka.llm_gateway.formats.responses._face import ResponsesFace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway.formats._face import Face

FACES: Final[Mapping[str, Face]] = {
    "/v1/chat/completions": ChatFace(),
    "/v1/messages": AnthropicFace(),
    "/v1/responses": ResponsesFace(),
}
"""By path."""

OTHER: Final[Face] = FACES["/v1/chat/completions"]
"""Whose form errors have at all other paths."""
