"""The tool `ask_person`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import attrs
from msgspec import Meta

from toka.tools._deadline import shorter, timed_out
from toka.tools._errors import AccessDeniedError, NoPersonError
from toka.tools._person import Question
from toka.tools._typed import Output, TypedTool
from toka.types import NANOSECONDS

if TYPE_CHECKING:
    from toka.tools._context import ToolContext, Workspace
    from toka.types import SideEffect

MAX_ANSWER_CHARACTERS: Final = 20_000


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


class AskPerson(TypedTool[AskPersonArguments]):
    """Asks a person, and waits for the answer."""

    name = "ask_person"
    description = (
        "Ask a person a question and wait for the `answer`: one of `choices`, or in their own"
        " words. Ask only what cannot be found out otherwise."
    )
    side_effect: SideEffect = "external"
    honours_idempotency_key = True
    actions = ("person:ask",)
    taints = False
    kind = AskPersonArguments

    def needs(self, arguments: AskPersonArguments, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - no files
        return (f"person:ask:{arguments.who}",)

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
        question = Question(
            arguments.question, arguments.choices, arguments.who, context.idempotency_key
        )
        timeout_ns = shorter(arguments.timeout, context)
        with anyio.move_on_after(timeout_ns / NANOSECONDS):
            return _output(await context.person.ask(question), arguments.choices)
        raise timed_out(timeout_ns)


def _output(answer: str, choices: tuple[str, ...]) -> Output:
    if choices and answer not in choices:
        raise NoPersonError(
            "The answer is none of the choices.", details={"choices": list(choices)}
        )
    cut = len(answer) > MAX_ANSWER_CHARACTERS
    shown = answer[:MAX_ANSWER_CHARACTERS].encode("utf-8", "replace").decode()
    return Output({"answer": shown, "truncated": cut}, truncated=cut)
