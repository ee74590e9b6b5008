"""The tool `ask_person`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, cast

import attrs
from msgspec import Meta

from toka.tools._deadline import shorter, timed_out
from toka.tools._errors import (
    AccessDeniedError,
    InvalidArgumentsError,
    InvalidToolError,
    NoPersonError,
)
from toka.tools._person import MAX_ANSWER_CHARACTERS, Question
from toka.tools._schema import check_arguments, compile_schema, decode
from toka.tools._typed import Output, TypedTool
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.types import Json, JsonObject, SideEffect


_LONGEST: Final = 366 * 86_400.0
"""Seconds; who answers has less, as whoever asks them says."""


_Value = Annotated[object, Meta(extra_json_schema={"description": "Of a keyword of JSON Schema."})]


@attrs.frozen
class AskPersonArguments:
    """Arguments of `ask_person`."""

    question: Annotated[str, Meta(min_length=1, max_length=4_000)]
    choices: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(description="The answers to choose from; none for any.", max_length=20),
    ] = ()
    who: Annotated[str, Meta(description="Whom to ask.", pattern="^[a-z][a-z0-9_-]{0,63}$")] = (
        "operator"
    )
    timeout: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="Seconds.")] = None
    schema: Annotated[
        dict[str, _Value] | None,
        Meta(
            description="Instead of choices: JSON Schema of the answer, of objects (properties,"
            " required), arrays (items), strings, integers, numbers, booleans, enum and bounds."
        ),
    ] = None


class AskPerson(TypedTool[AskPersonArguments]):
    """Asks a person, and waits for the answer."""

    name = "ask_person"
    description = (
        "Ask a person a question and wait for the `answer`: one of `choices`, what `schema`"
        " describes, or in their own words. Ask only what cannot be found out otherwise."
    )
    side_effect: SideEffect = "external"
    honours_idempotency_key = True
    actions = ("person:ask",)
    taints = False
    kind = AskPersonArguments

    def needs(self, arguments: AskPersonArguments, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - no files
        return (f"person:ask:{arguments.who}",)

    def question(self, arguments: JsonObject) -> Question:
        """Return what a call with these arguments asks.

        Raises:
            InvalidArgumentsError: They do not fit.
        """
        return _question(decode(self.kind, arguments, self.name))

    def answered(self, answer: Json, by: str) -> Json:
        """Return the value of a call that was answered, and by whom."""
        return {**_told(answer), "by": by}

    async def run(self, arguments: AskPersonArguments, context: ToolContext) -> Output:
        import anyio  # noqa: PLC0415 - 40 ms at import

        request = f"person:ask:{arguments.who}"
        if not context.granted.covers(request):
            raise AccessDeniedError(
                f"The call needs {request}, which is not granted.", details={"request": request}
            )
        if context.person is None:
            raise NoPersonError(
                "There is nobody to ask.", hint="Give the context a `person`, or decide without."
            )
        question = attrs.evolve(_question(arguments), key=context.idempotency_key)
        timeout_ns = shorter(arguments.timeout, context)
        with anyio.move_on_after(timeout_ns / NANOSECONDS):
            return _output(await context.person.ask(question), question)
        raise timed_out(timeout_ns)


def _question(arguments: AskPersonArguments) -> Question:
    if arguments.schema is not None and arguments.choices:
        raise InvalidArgumentsError("A question has choices or a schema, not both.")
    seconds = arguments.timeout
    return Question(
        arguments.question,
        arguments.choices,
        arguments.who,
        schema=cast("JsonObject | None", arguments.schema),
        timeout_ns=None if seconds is None else int(min(seconds, _LONGEST) * NANOSECONDS),
    )


def _output(answer: Json, question: Question) -> Output:
    if question.choices and answer not in question.choices:
        raise NoPersonError(
            "The answer is none of the choices.", details={"choices": list(question.choices)}
        )
    if question.schema is not None:
        _check(answer, question.schema)
    value = _told(answer)
    return Output(value, truncated=value["truncated"] is True)


def _check(answer: Json, schema: JsonObject) -> None:
    wrapped: JsonObject = {"properties": {"answer": schema}, "required": ["answer"]}
    try:
        check_arguments(compile_schema(wrapped, "ask_person"), {"answer": answer}, "the form")
    except InvalidToolError as error:
        raise InvalidArgumentsError(f"The schema is none: {error}") from error
    except InvalidArgumentsError as error:
        raise NoPersonError(f"The answer does not fit the schema: {error}") from error


def _told(answer: Json) -> JsonObject:
    if not isinstance(answer, str):
        return {"answer": answer, "truncated": False}
    shown = answer[:MAX_ANSWER_CHARACTERS].encode("utf-8", "replace").decode()
    return {"answer": shown, "truncated": len(answer) > MAX_ANSWER_CHARACTERS}
