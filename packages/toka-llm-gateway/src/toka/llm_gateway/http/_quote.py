"""Quoting a provider's complaint without repeating what was sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from toka.llm_gateway.http._secret import ApiKey

MAX_QUOTE: Final = 300

_RUN: Final = 24
"""Characters in a row that occur in the request and are therefore taken for a piece of it."""


def quote(complaint: str, sent: bytes, key: ApiKey | None) -> str:
    """Return the beginning of a complaint, on one line, free of the key and of the prompt.

    Args:
        complaint: What the provider wrote.
        sent: The body of the request; no run of its characters is repeated.
        key: The key of the request.

    """
    text = complaint if key is None else key.strike_out(complaint)
    text = " ".join(text.split())[: MAX_QUOTE + _RUN]
    body = " ".join(sent.decode(errors="replace").replace("\\n", " ").split())
    return _strike_runs(text, body)[:MAX_QUOTE]


def _strike_runs(text: str, body: str) -> str:
    kept: list[str] = []
    position = 0
    while position < len(text):
        end = position + _RUN
        if end > len(text) or text[position:end] not in body:
            kept.append(text[position])
            position += 1
            continue
        while end < len(text) and text[position : end + 1] in body:
            end += 1
        kept.append("[...]")
        position = end
    return "".join(kept)
