"""Answers that are JSON of a certain form: checked, and repaired once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import attrs
import msgspec

from toka.llm_gateway._errors import ConfigurationInvalid, OutputInvalid
from toka.llm_gateway._messages import ModelMessage
from toka.llm_gateway._response import StopReason
from toka.types import InvalidValueError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

    from toka.llm_gateway._model import Model
    from toka.llm_gateway._request import ModelRequest
    from toka.llm_gateway._response import ModelResponse
    from toka.types import Json, JsonObject

_FENCE: Final = "```"
_MAX_COMPLAINTS: Final = 5


@attrs.frozen
class StructuredAnswer:
    """An answer whose text is JSON of the form that was asked for."""

    value: Json
    response: ModelResponse
    """The last answer; with a repair, its usage and cost are those of both calls."""
    repaired: bool


async def complete_structured(model: Model, request: ModelRequest) -> StructuredAnswer:
    """Ask for JSON of the form in `request.output`, and check what comes.

    What does not fit goes back to the model once, with what is wrong with it. It needs the extra
    `structured` (jsonschema).

    Raises:
        InvalidValueError: The request asks for no form.
        ConfigurationInvalid: jsonschema is not installed, or the schema is none.
        OutputInvalid: The second answer does not fit either.
        LlmFailure: There is no answer.

    """
    if request.output is None:
        raise InvalidValueError("The request has no `output` to check the answer against.")
    validator = _validator(request.output.schema)
    first = await model.complete(request)
    value, complaints = _check(first, validator)
    if not complaints:
        return StructuredAnswer(value, first, repaired=False)
    again = attrs.evolve(
        request,
        messages=(*request.messages, first.message, ModelMessage.user(_plea(complaints))),
        idempotency_key=f"{request.idempotency_key}:repair" if request.idempotency_key else "",
    )
    second = _summed(first, await model.complete(again))
    value, complaints = _check(second, validator)
    if complaints:
        raise OutputInvalid(
            f"The model's answer is not of the form that was asked for: {complaints[0]}",
            details={"complaints": complaints},
        )
    return StructuredAnswer(value, second, repaired=True)


def _validator(schema: JsonObject | None) -> Validator:
    try:
        import jsonschema  # noqa: PLC0415 - an extra
    except ImportError:
        missing = ConfigurationInvalid(
            "Checking answers needs jsonschema.", hint="pip install 'toka-llm-gateway[structured]'"
        )
    else:
        try:
            wanted = dict(schema) if schema is not None else {"type": "object"}
            jsonschema.Draft202012Validator.check_schema(wanted)
            return cast("Validator", jsonschema.Draft202012Validator(wanted))
        except jsonschema.SchemaError as error:
            missing = ConfigurationInvalid(f"The output's schema is none: {error.message}.")
    raise missing


def _check(response: ModelResponse, validator: Validator) -> tuple[Json, list[str]]:
    if response.stop_reason is StopReason.MAX_TOKENS:
        return None, ["The answer was cut off; make it shorter."]
    try:
        value: Json = msgspec.json.decode(_bare(response.text))
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        return None, [f"It is not JSON: {error}."]
    found = sorted(validator.iter_errors(value), key=lambda error: error.json_path)
    return value, [f"{error.json_path}: {error.message}"[:300] for error in found[:_MAX_COMPLAINTS]]


def _bare(text: str) -> str:
    """Return the text without the fence that models like to put around JSON."""
    text = text.strip()
    if text.startswith(_FENCE) and text.endswith(_FENCE):
        return text.removesuffix(_FENCE).partition("\n")[2]
    return text


def _plea(complaints: list[str]) -> str:
    listed = "\n".join(f"- {complaint}" for complaint in complaints)
    return (
        "Your answer is not of the form that was asked for:\n"
        f"{listed}\nAnswer again with the corrected JSON and nothing else."
    )


def _summed(first: ModelResponse, second: ModelResponse) -> ModelResponse:
    known = first.cost is not None and second.cost is not None
    return attrs.evolve(
        second,
        usage=first.usage + second.usage,
        cost=first.cost + second.cost if known and first.cost and second.cost else None,
        attempts=first.attempts + second.attempts,
        duration_ns=first.duration_ns + second.duration_ns,
    )
