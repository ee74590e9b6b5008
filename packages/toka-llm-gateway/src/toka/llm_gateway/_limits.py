"""What a model can take, as data; and whether a request stays within it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, get_args

import attrs

from toka.llm_gateway._errors import ConfigurationInvalid, ContextTooLong, ModelUnfit
from toka.llm_gateway._messages import Document, Image, Text, ToolOutput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toka.llm_gateway._request import ModelRequest

Modality: TypeAlias = Literal["text", "image", "document"]
"""A kind of content that a model reads."""

FIELDS: Final = frozenset({"context_window", "max_output_tokens", "modalities", "tools"})
_MODALITIES: Final[tuple[Modality, ...]] = get_args(Modality)
_REPEATED: Final = r"(\W)\1+"
_CHARACTERS_PER_TOKEN: Final = 8
"""No tokenizer makes fewer tokens than this gives, of any language, once repetitions are out."""


@attrs.frozen
class ModelLimits:
    """What a model can take. None is unknown, and then nothing is refused for it."""

    context_window: int | None = None
    """Tokens of input and answer together."""
    max_output_tokens: int | None = None
    """The longest answer that may be asked for."""
    modalities: frozenset[Modality] | None = None
    """What it reads."""
    tools: bool | None = None
    """Whether it asks for tools."""

    def over(self, other: ModelLimits) -> ModelLimits:
        """Return what is known here, and of `other` what is not."""
        known = attrs.asdict(self, filter=lambda _, value: value is not None)
        return attrs.evolve(other, **known)

    def check(self, request: ModelRequest, model: str) -> None:
        """Refuse what the model certainly cannot take, before it is sent.

        An input is too long here where it is so even at eight characters to a token, repeated signs
        and spaces counted once, and pictures and documents not at all. Of what is closer to the
        limit the provider is the judge.

        Raises:
            ModelUnfit: The answer may not be so long, or the model reads no such content or asks
                for no tools.
            ContextTooLong: The input is longer than the context window.

        """
        most = self.max_output_tokens
        if most is not None and request.max_output_tokens > most:
            asked = request.max_output_tokens
            what = f"{asked} tokens of answer are asked for, and it gives {most} at most"
            raise _unfit(model, "max_output_tokens", what)
        if self.tools is False and request.tools:
            raise _unfit(model, "tools", "it asks for no tools")
        if self.modalities is not None:
            for kind in _MODALITIES:
                if kind not in self.modalities and kind in _kinds(request):
                    raise _unfit(model, kind, f"it reads no {kind}")
        if self.context_window is not None:
            _check_length(request, model, self.context_window)


UNKNOWN: Final = ModelLimits()


def _unfit(model: str, what: str, why: str) -> ModelUnfit:
    return ModelUnfit(
        f"The model {model!r} cannot take this request: {why}.",
        hint="Take another model, or correct its limits in the table that TOKA_LLM_PRICES names.",
        details={"what": what, "model": model, "attempts": 0},
    )


def _check_length(request: ModelRequest, model: str, window: int) -> None:
    room = window * _CHARACTERS_PER_TOKEN
    if sum([len(text) for text in _texts(request)]) <= room:
        return
    characters = sum([len(re.sub(_REPEATED, r"\1", text)) for text in _texts(request)])
    if characters > room:
        raise ContextTooLong(
            f"The input is longer than the context window of {model!r}: {characters} characters,"
            f" and {window} tokens.",
            hint="Shorten the conversation, or take a model with a larger window.",
            details={"what": "context_window", "model": model, "attempts": 0},
        )


def _content(request: ModelRequest) -> Iterator[object]:
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolOutput) and not isinstance(part.content, str):
                yield from part.content
            else:
                yield part


def _texts(request: ModelRequest) -> Iterator[str]:
    yield request.system_text
    for part in _content(request):
        match part:
            case Text(text) | ToolOutput(_, str(text)):
                yield text
            case _:
                pass


def _kinds(request: ModelRequest) -> set[Modality]:
    kinds: set[Modality] = {"text"}
    for part in _content(request):
        if isinstance(part, Image):
            kinds.add("image")
        elif isinstance(part, Document):
            kinds.add("document")
    return kinds


def read_limits(entry: Mapping[str, object], where: str) -> ModelLimits:
    """Read the limits of a table's entry.

    Raises:
        ConfigurationInvalid: One of them is not of its form.

    """
    tools = entry.get("tools")
    if tools is not None and not isinstance(tools, bool):
        raise ConfigurationInvalid(f"{where}.tools in the price table is not true or false.")
    return ModelLimits(
        _count(entry, "context_window", where),
        _count(entry, "max_output_tokens", where),
        _modalities(entry.get("modalities"), where),
        tools,
    )


def _count(entry: Mapping[str, object], name: str, where: str) -> int | None:
    value = entry.get(name)
    # A bool is an int to Python.
    if value is None or (type(value) is int and value >= 1):
        return value
    raise ConfigurationInvalid(f"{where}.{name} in the price table is not a count.")


def _modalities(value: object, where: str) -> frozenset[Modality] | None:
    if value is None:
        return None
    named = cast("list[object]", value) if isinstance(value, list) else []
    found: frozenset[Modality] = frozenset([kind for kind in _MODALITIES if kind in named])
    if not found or len(found) != len(named):
        raise ConfigurationInvalid(
            f"{where}.modalities in the price table is not a list of {', '.join(_MODALITIES)}."
        )
    return found
