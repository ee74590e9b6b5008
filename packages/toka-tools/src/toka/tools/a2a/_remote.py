"""Another agent as a tool."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import TYPE_CHECKING, Final, cast

import anyio
import attrs
import httpx
import msgspec
from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import parse_agent_card
from a2a.client.errors import A2AClientError
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    Role,
    SendMessageRequest,
    TaskState,
)
from a2a.utils.errors import A2AError
from google.protobuf.json_format import (  # type: ignore[import-untyped] # its types are another distribution
    MessageToDict,
    ParseError,
)

from toka.tools._deadline import timed_out
from toka.tools._result import ToolResult
from toka.tools.a2a._agent import Content
from toka.tools.a2a._contents import contents_of, described, parts_of
from toka.tools.a2a._errors import AgentCallError, AgentCardError
from toka.tools.a2a._transport import CheckedTransport
from toka.tools.http._request import Hop, check_headers, send
from toka.tools.http._url import parse_target
from toka.tools.secrets._secrets import (
    EnvironmentSecrets,
    Redactor,
    Secrets,
    is_secret_name,
    read_granted,
    secret_request,
)
from toka.types import NANOSECONDS, TokaError

if TYPE_CHECKING:
    from a2a.client import Client
    from a2a.types import AgentInterface, StreamResponse, Task

    from toka.tools._context import ToolContext, Workspace
    from toka.types import JsonObject, SideEffect

MAX_CARD_BYTES: Final = 1 << 20
MAX_DESCRIPTION: Final = 2_000
CANCEL_SECONDS: Final = 5
"""How long a task that nobody waits for any more may take to be cancelled."""

_CARD_PATH: Final = "/.well-known/agent-card.json"
_FIRST_DELAY, _LAST_DELAY = 0.05, 2.0
_RUNNING: Final = frozenset({TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING})
# What the SDK raises for answers that are errors of the protocol, or are no answers.
_FAULTS: Final = (
    A2AClientError,
    A2AError,
    ParseError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
)

_PARAMETERS: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "message": {"type": "string", "description": "What to ask of the agent."},
        "data": {"description": "JSON that goes along with the message."},
        "task_id": {
            "type": "string",
            "description": "The task to go on with, where the agent had a question.",
        },
        "context_id": {"type": "string", "description": "The conversation that it belongs to."},
    },
    "required": ["message"],
    "additionalProperties": False,
}


@attrs.frozen(eq=False)
class AgentTool:
    """Sends a message to one agent and waits for what comes of it."""

    name: str
    version: str
    """A digest of the agent's card."""
    description: str
    card: AgentCard = attrs.field(repr=False)
    url: str
    """Where messages go."""
    bearer: str = ""
    """The name of the secret that is the bearer token, if the agent wants one."""
    secrets: Secrets = attrs.field(factory=EnvironmentSecrets, repr=False)
    parameters: JsonObject = attrs.field(default=_PARAMETERS, init=False, repr=False)
    side_effect: SideEffect = attrs.field(default="external", init=False)
    honours_idempotency_key: bool = attrs.field(default=False, init=False)
    taints: bool = attrs.field(default=True, init=False)

    @property
    def actions(self) -> tuple[str, ...]:
        """Domain and action of what calls may request."""
        return ("net:post",)

    def requests(self, arguments: JsonObject, workspace: Workspace) -> tuple[str, ...]:  # noqa: ARG002 - the same for all
        """Return the requests for the agent's address, and for the token that it is shown."""
        named = (secret_request(self.bearer),) if self.bearer else ()
        return (parse_target(self.url).request("POST"), *named)

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Send the message; wait until the task has ended, or has a question.

        A task that nobody waits for any more, because the time is up or the call was cancelled, is
        cancelled at the other agent.

        Raises:
            ToolError: It was refused, failed, or ran out of time.
        """
        started = context.clock.monotonic()
        headers, redactor = await self._credentials(context)
        transport = CheckedTransport(
            context, context.output_limit_bytes, context.timeout_ns, headers
        )
        async with httpx.AsyncClient(transport=transport, timeout=None) as http:  # noqa: S113 - the context limits it
            client = _client(self.card, http)
            try:
                value = await self._exchange(client, arguments, context)
            except TokaError:
                raise
            except _FAULTS as error:
                raise _failed(self.name, error, redactor) from None
        spent = context.clock.monotonic() - started
        return ToolResult(redactor.json(value), duration_ns=spent)

    async def _credentials(self, context: ToolContext) -> tuple[dict[str, str], Redactor]:
        if not self.bearer:
            return {}, Redactor.of([])
        token = await read_granted(self.secrets, self.bearer, context.granted)
        return {"Authorization": f"Bearer {token}"}, Redactor.of([(self.bearer, token)])

    async def _exchange(
        self, client: Client, arguments: JsonObject, context: ToolContext
    ) -> JsonObject:
        task: Task | None = None
        try:
            with anyio.move_on_after(context.timeout_ns / NANOSECONDS):
                first = await _first(client, _message(arguments, context.idempotency_key))
                if not first.HasField("task"):
                    return _of_message(first.message)
                task = first.task
                while task.status.state in _RUNNING:
                    task = await _later(client, task)
                done, task = task, None
                return _of_task(done)
            raise timed_out(context.timeout_ns)
        finally:
            if task is not None and task.status.state in _RUNNING:
                await _cancel(client, task.id)


def _client(card: AgentCard, http: httpx.AsyncClient) -> Client:
    config = ClientConfig(streaming=False, polling=True, httpx_client=http)
    return ClientFactory(config).create(card)


def _message(arguments: JsonObject, key: str) -> Message:
    contents = [Content(text=str(arguments["message"]))]
    if "data" in arguments:
        contents.append(Content(data=arguments["data"]))
    # The same step is the same message, for agents that look at that.
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"toka:{key}") if key else uuid.uuid4()
    return Message(
        message_id=str(identity),
        role=Role.ROLE_USER,
        parts=parts_of(contents),
        task_id=str(arguments.get("task_id", "")),
        context_id=str(arguments.get("context_id", "")),
    )


async def _first(client: Client, message: Message) -> StreamResponse:
    async for response in client.send_message(SendMessageRequest(message=message)):
        return response
    raise ValueError("there was no answer")


async def _later(client: Client, task: Task) -> Task:
    """Return the task once it is in another state than running, or a little later."""
    delay = _FIRST_DELAY
    while task.status.state in _RUNNING:
        await anyio.sleep(delay)
        delay = min(delay * 1.5, _LAST_DELAY)
        task = await client.get_task(GetTaskRequest(id=task.id))
    return task


async def _cancel(client: Client, task_id: str) -> None:
    # Also when this call is itself cancelled: a task that goes on would spend what nobody uses.
    with anyio.move_on_after(CANCEL_SECONDS, shield=True):
        try:
            await client.cancel_task(CancelTaskRequest(id=task_id))
        except (TokaError, *_FAULTS):
            return  # It has ended meanwhile, or cannot be reached: the call's own error says more.


def _of_message(message: Message) -> JsonObject:
    contents = contents_of(message.parts)
    return {
        "state": "completed",
        "text": _text(contents),
        "artifacts": [{"contents": described(contents)}],
        "context_id": message.context_id,
    }


def _of_task(task: Task) -> JsonObject:
    if task.status.state == TaskState.TASK_STATE_UNSPECIFIED:
        raise ValueError("the task is in no state that the protocol knows")
    said = _text(contents_of(task.status.message.parts))
    made = [(each.name, contents_of(each.parts)) for each in task.artifacts]
    return {
        "state": TaskState.Name(task.status.state).removeprefix("TASK_STATE_").lower(),
        "text": "\n".join(_text(contents) for _, contents in made) or said,
        "message": said,
        "artifacts": [{"name": name, "contents": described(contents)} for name, contents in made],
        "task_id": task.id,
        "context_id": task.context_id,
    }


def _text(contents: tuple[Content, ...]) -> str:
    return "\n".join(each.text for each in contents if each.text is not None)


def _failed(tool: str, error: Exception, redactor: Redactor) -> AgentCallError:
    text = redactor.text(" ".join(str(error).split()))[:300]
    kind = type(error).__name__
    return AgentCallError(
        f"{tool} was answered with an error: {kind}: {text}",
        details={"tool": tool, "error": kind},
    )


async def fetch_agent(
    url: str,
    context: ToolContext,
    *,
    name: str = "",
    bearer: str = "",
    secrets: Secrets | None = None,
) -> AgentTool:
    """Make a tool of the agent at a URL; `context` must hold the permission for its card.

    Args:
        url: The agent's address; the card is below it, at `/.well-known/agent-card.json`.
        context: What may be asked for, and how long it may take.
        name: Of the tool; made of the agent's own by default.
        bearer: The name of the secret that is shown to the agent as a bearer token. Such an agent
            must be at the origin of `url`.
        secrets: Where the secret is; the environment by default.

    Raises:
        AgentCardError: There is no card, or one that cannot be worked with.
        AddressDeniedError: The URL is not granted, or leads to an address that is not allowed.
        HttpRequestError: There was no complete answer.
        ToolTimeoutError: It took longer than it may.
    """
    if bearer and not is_secret_name(bearer):
        raise AgentCardError("What is given as `bearer` is no secret's name, or is one itself.")
    target = parse_target(url.rstrip("/") + _CARD_PATH)
    hop = Hop("GET", target, check_headers({"Accept": "application/json"}), b"")
    answer = await send(hop, context.granted, limit=MAX_CARD_BYTES, timeout_ns=context.timeout_ns)
    place = f"{answer.target.origin}{answer.target.path}"
    if answer.exchange.status != 200 or answer.exchange.truncated:  # noqa: PLR2004 - OK
        raise AgentCardError(f"{place} answered with status {answer.exchange.status}.")
    card = _card(answer.exchange.body, place)
    address = _interface(card, place).url
    # Not that of the last redirect: nobody chose it.
    if bearer and parse_target(address).origin != target.origin:
        raise AgentCardError(
            f"The agent of {place} is at {parse_target(address).origin}.",
            hint="A secret is only shown to the origin of the URL that was given.",
        )
    said = msgspec.json.encode(MessageToDict(card), order="sorted")
    return AgentTool(
        name=name or _tool_name(card.name),
        version=hashlib.blake2b(said).hexdigest()[:16],
        description=_description(card),
        card=card,
        url=address,
        bearer=bearer,
        secrets=secrets or EnvironmentSecrets(),
    )


def _card(data: bytes, place: str) -> AgentCard:
    try:
        return parse_agent_card(cast("dict[str, object]", msgspec.json.decode(data)))
    except (msgspec.DecodeError, UnicodeError, RecursionError, *_FAULTS) as error:
        raise AgentCardError(f"{place} is no agent's card: {type(error).__name__}.") from None


def _interface(card: AgentCard, place: str) -> AgentInterface:
    one: AgentInterface
    for version in ("1.", "0.3"):
        for one in card.supported_interfaces:
            if one.protocol_binding == "JSONRPC" and one.protocol_version.startswith(version):
                # The SDK's client chooses again: it is left nothing to choose.
                del card.supported_interfaces[:]
                card.supported_interfaces.append(one)
                return one
    raise AgentCardError(f"The agent of {place} cannot be reached by JSON-RPC, version 1.0 or 0.3.")


def _tool_name(name: str) -> str:
    text = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return f"ask_{text}"[:64].rstrip("_")


def _description(card: AgentCard) -> str:
    skills = [f"{skill.name}: {skill.description}" for skill in card.skills]
    whole = "\n".join([f"Ask the agent {card.name}. {card.description}", *skills])
    return whole if len(whole) <= MAX_DESCRIPTION else f"{whole[: MAX_DESCRIPTION - 4]} ..."
