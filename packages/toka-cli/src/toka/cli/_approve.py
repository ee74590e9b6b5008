"""`toka approve`: what agents ask a person, and the answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias, cast

import anyio
import attrs
import click
import msgspec

from toka.cli._data_directory import DataDirectory
from toka.cli._errors import UsageError
from toka.cli._exits import Exit
from toka.cli._options import data_dir_option, json_option, url_options
from toka.cli._rows import folded
from toka.cli._show import moment, printable
from toka.types import NULL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Literal

    from toka.types import Json


_PERMISSIONS = ("approval:resolve:**",)


Form: TypeAlias = dict[str, object]


@attrs.frozen
class Question:
    """Something that an agent wants to do, and may not without a person."""

    approval: str
    agent: str
    name: str
    question: str
    expires: str
    form: Form | None = None
    """JSON Schema of the answer; None where yes or no is all."""


@attrs.frozen
class Questions:
    """What a service says is open."""

    approvals: tuple[Question, ...]


@attrs.frozen
class _Answer:
    approval: str
    decision: Literal["approve", "deny"]
    reason: str
    text: str | None
    """What was written after `--answer`."""

    def said(self, asked: Iterable[Question]) -> msgspec.Raw:
        """Return the answer as JSON: where the question wants a text it is one, written as it is.

        Raises:
            UsageError: It is neither.
        """
        if self.text is None:
            return NULL
        form = next((each.form for each in asked if each.approval == self.approval), None)
        if form is not None and _wants_text(form):
            return msgspec.Raw(msgspec.json.encode(self.text))
        try:
            return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(self.text)))
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise UsageError(
                f"--answer is not JSON: {error}.", hint="""As in --answer '{"days": 3}'."""
            ) from error


def _wants_text(form: Form) -> bool:
    choices = form.get("enum")
    listed = cast("list[object]", choices) if isinstance(choices, list) else [None]
    return form.get("type") == "string" or all(isinstance(each, str) for each in listed)


@attrs.frozen
class _Service:
    url: str
    token: str | None


@click.command(
    "approve",
    epilog="""\b
Examples:
  toka approve                                            what waits for an answer
  toka approve 01JD3X8ZK5Q6T7V8W9XAYBZCDE
  toka approve 01JD3X8ZK5Q6T7V8W9XAYBZCDE --deny --reason 'Not on a Friday.'
  toka approve 01JD3X8ZK5Q6T7V8W9XAYBZCDE --answer staging""",
)
@click.argument("approval", required=False, default="")
@click.option("--deny", is_flag=True, help="Answer no.")
@click.option("--reason", default="", help="Why; it is recorded.")
@click.option(
    "--answer",
    "text",
    metavar="TEXT",
    help="What a question asks for: text, or JSON where it wants something else.",
)
@data_dir_option
@url_options
@json_option
def command(
    *,
    approval: str,
    deny: bool,
    reason: str,
    text: str | None,
    data_dir: Path,
    url: str | None,
    token: str | None,
    as_json: bool,
) -> int:
    """Answer the question APPROVAL with yes; without APPROVAL, list the open questions.

    A service that runs on the data directory is asked; else the directory is opened.
    """
    data = DataDirectory(data_dir.absolute())
    service = _Service(url, token) if url else _find_service(data)
    if not approval:
        return _list(data, service, as_json=as_json)
    answer = _Answer(approval, "deny" if deny else "approve", reason, text)
    if service is not None:
        anyio.run(_answer_service, service, answer)
    else:
        anyio.run(_answer_log, data, answer)
    click.echo(f"{'Denied' if deny else 'Approved'} {approval}.")
    return Exit.MET


def _find_service(data: DataDirectory) -> _Service | None:
    """Return the service that runs on a data directory, with a token for it.

    Whoever may read the signing key may do anything here, so a token is no more than they have.
    """
    from toka.cli._service_file import find_service  # noqa: PLC0415 - not for --help

    found = find_service(data.service)
    if found is None:
        return None
    from toka.orchestration import TokenDesk  # noqa: PLC0415
    from toka.types import SystemClock  # noqa: PLC0415

    clock = SystemClock()
    desk = TokenDesk(data.keys(clock, create=False).issuer, clock)
    return _Service(found.url, desk.mint("operator", _PERMISSIONS))


def _list(data: DataDirectory, service: _Service | None, *, as_json: bool) -> int:
    asked = anyio.run(_ask_service, service) if service else anyio.run(_ask_log, data)
    if as_json:
        click.echo(json.dumps([attrs.asdict(question) for question in asked]))
        return Exit.MET
    for question in asked:
        click.echo(f"{question.approval}  until {question.expires}  {question.agent}")
        click.echo(f"    {printable(question.name, 64)}: {printable(question.question, 400)}")
        if question.form is not None:
            click.echo(f"    --answer {printable(json.dumps(question.form), 2_000)}")
    if not asked:
        click.echo("Nothing waits for an answer.")
    return Exit.MET


async def _ask_service(service: _Service) -> tuple[Question, ...]:
    from toka.cli._client import Client  # noqa: PLC0415 - aiohttp

    async with Client(service.url, service.token) as client:
        return (await client.get("/v1/approvals", Questions)).approvals


async def _ask_log(data: DataDirectory) -> tuple[Question, ...]:
    async with folded(data) as runs:
        return tuple(
            Question(
                asked.approval,
                asked.agent,
                asked.name,
                asked.question,
                moment(asked.expires),
                msgspec.json.decode(asked.form),
            )
            for run in runs.by_id.values()
            if not run.ended
            for asked in run.approvals.values()
        )


async def _answer_service(service: _Service, answer: _Answer) -> None:
    from toka.cli._client import Client  # noqa: PLC0415 - aiohttp

    body: dict[str, Json] = {"decision": answer.decision, "reason": answer.reason}
    async with Client(service.url, service.token) as client:
        if answer.text is not None:
            listed = (await client.get("/v1/approvals", Questions)).approvals
            body["answer"] = msgspec.json.decode(answer.said(listed))
        await client.post(f"/v1/approvals/{answer.approval}", dict[str, str], body)


async def _answer_log(data: DataDirectory, answer: _Answer) -> None:
    from toka.cli._host import open_host  # noqa: PLC0415 - not for --help
    from toka.types import Message, ResolveApproval, check_entity_id  # noqa: PLC0415

    approval = check_entity_id(answer.approval)
    # Where nothing was ever run there is nothing to answer, and nothing is made.
    async with data.open_log(read_only=True):
        pass
    said = NULL if answer.text is None else answer.said(await _ask_log(data))
    operation = ResolveApproval(approval, answer.decision, answer.reason, said)
    async with open_host(data) as host:
        token = host.desk.mint("operator", _PERMISSIONS)
        await host.runtime.submit(Message(token, operation))
