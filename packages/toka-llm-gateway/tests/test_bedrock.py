"""Amazon Bedrock: judged by botocore, which knows the real interface, from both sides."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import threading
from typing import Any
from urllib.parse import quote, unquote

import anyio
import anyio.to_thread
import msgspec
import pytest
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer
from botocore.session import Session
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from toka.llm_gateway import (
    AuthenticationFailed,
    BedrockModel,
    CallFailed,
    Citation,
    ConfigurationInvalid,
    ContextTooLong,
    Document,
    HttpOptions,
    Image,
    InvalidRequest,
    Media,
    ModelMessage,
    ModelRequest,
    ModelTimeout,
    Native,
    NotTranslatable,
    OutputSchema,
    Overloaded,
    ProviderError,
    RateLimited,
    Reasoning,
    ResponseInvalid,
    ResponseTooLarge,
    RetryPolicy,
    StopReason,
    Text,
    Timeouts,
    ToolArgumentsInvalid,
    ToolChoice,
    ToolOutput,
    ToolSchema,
    ToolUse,
    Usage,
)
from toka.llm_gateway.formats._event_stream import EventStreamParser, encode_event
from toka.llm_gateway.formats.converse._dialect import ConverseDialect
from toka.llm_gateway.testing import FakeBedrock, Raw, Refuse, reply
from toka.llm_gateway.testing._fake_bedrock import _complaints

ASK = ModelRequest((ModelMessage.user("hi"),))
ADD = ToolSchema("add", "Adds.", {"type": "object"}, strict=True, cache="1h")
STREAM = "application/vnd.amazon.eventstream"
SEALED = Reasoning("Hm, let me see", "c2ln", format="converse")
HIDDEN = Reasoning("", "b24=", redacted=True, format="converse")
CITED = {
    "title": "T",
    "sourceContent": [{"text": "said so"}],
    "location": {"web": {"url": "https://x"}},
}
QUOTE = Text("as they say", (Citation("said so", "T", "https://x", format="converse", data=CITED),))
RICH = ModelRequest(
    (
        ModelMessage(
            "user",
            (
                Text("look", cache="5m"),
                Image(Media.of(b"png", "image/png")),
                Document(Media.of(b"a,b", "text/csv"), title="My: table/1", cite=True),
                Document(Media(url="s3://bucket/key", media_type="application/pdf"), cache="1h"),
                Document(Media.of(b"x", "text/plain")),
            ),
        ),
        ModelMessage("assistant", (SEALED, HIDDEN, QUOTE, ToolUse("t1", "add", {"a": 1}))),
        ModelMessage(
            "user",
            (
                ToolOutput("t1", (Text("3"), Image(Media.of(b"gif", "image/gif"))), is_error=True),
                Text(""),
            ),
        ),
        ModelMessage.user("go on"),
    ),
    system=(Text("be kind", cache="1h"), Text("")),
    tools=(ADD, ToolSchema("nothing", "", {"type": "object"})),
    tool_choice=ToolChoice("named", "add"),
    output=OutputSchema({"type": "object"}),
    temperature=0.5,
    top_p=0.9,
    stop=("END",),
    effort="high",
)


@pytest.fixture(scope="module")
def service():
    return Session().get_service_model("bedrock-runtime")


def as_parameters(value: Any, shape: Any) -> Any:
    """Return a JSON value as botocore wants it: bytes as such."""
    if shape.type_name == "structure":
        known = shape.members
        return {
            name: as_parameters(each, known[name]) if name in known else each
            for name, each in value.items()
        }
    if shape.type_name == "list":
        return [as_parameters(each, shape.member) for each in value]
    return base64.b64decode(value) if shape.type_name == "blob" else value


def complaints_of_amazon(service, body, operation="Converse"):
    shape = service.operation_model(operation).input_shape
    sent = as_parameters({"modelId": "m", **body}, shape)
    unknown = sent.keys() - shape.members.keys()
    return ParamValidator().validate(sent, shape).generate_report() + " ".join(unknown)


def test_the_richest_request_is_one_that_amazon_knows(service):
    body = msgspec.json.decode(ConverseDialect({}).encode(RICH, "m", stream=False))
    assert complaints_of_amazon(service, body) == ""
    assert list(_complaints(body)) == []
    user, assistant, answer = body["messages"]
    assert [next(iter(block)) for block in user["content"]] == [
        "text", "cachePoint", "image", "document", "document", "cachePoint", "document",
    ]  # fmt: skip
    named = [block["document"]["name"] for block in user["content"] if "document" in block]
    assert named == ["My table 1", "document", "document 2"]
    assert [next(iter(block)) for block in assistant["content"]] == [
        "reasoningContent", "reasoningContent", "citationsContent", "toolUse",
    ]  # fmt: skip
    assert answer["content"][0]["toolResult"]["status"] == "error"
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "add"}}


def test_counting_asks_in_the_form_that_amazon_knows(service):
    counting = ConverseDialect({"guardrailConfig": {}}).counting(RICH, "a:b/c")
    assert counting is not None
    assert counting.path == "/model/a%3Ab%2Fc/count-tokens"
    body = msgspec.json.decode(counting.body)
    assert complaints_of_amazon(service, body, "CountTokens") == ""
    assert counting.decode(b'{"inputTokens": 7}') == 7


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (Image(Media(url="https://x/y.png")), "an image that is neither here nor in Amazon S3"),
        (Image(Media.of(b"x", "image/bmp")), "an image of type 'image/bmp'"),
        (Document(Media(file_id="f")), "a document that is neither here nor in Amazon S3"),
        (Native("anthropic", {"type": "x"}), "content of type"),
    ],
)
def test_what_the_format_cannot_say_is_refused_by_name(part, what):
    request = ModelRequest((ModelMessage("user", (part,)),))
    with pytest.raises(NotTranslatable, match=what):
        ConverseDialect({}).encode(request, "m", stream=False)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_model_is_one_step_of_the_path(name):
    with pytest.raises(InvalidRequest):
        ConverseDialect({}).path(name, stream=False)


def test_tools_that_must_not_be_used_cannot_be_said():
    request = ModelRequest(ASK.messages, tools=(ADD,), tool_choice=ToolChoice("none"))
    with pytest.raises(NotTranslatable, match="must not be used"):
        ConverseDialect({}).encode(request, "m", stream=False)


SAID = (
    SEALED,
    HIDDEN,
    Text("fine"),
    QUOTE,
    ToolUse("t1", "add", {"a": [1, None]}),
    Native("converse", {"toolResult": {"toolUseId": "s1", "content": [{"text": "done"}]}}),
)


@pytest.mark.anyio
async def test_an_answer_of_every_kind_of_part_is_the_same_whole_and_streamed(bedrock):
    usage = Usage(7, 5, 3, 2)
    model = await bedrock.start([reply(*SAID, usage=usage)] * 2)
    whole = await model.complete(ASK)
    streamed = [event async for event in model.stream(ASK)][-1]
    assert whole.message.parts == streamed.message.parts == SAID
    assert whole.usage == streamed.usage == usage
    assert whole.stop_reason is streamed.stop_reason is StopReason.TOOL_USE
    assert (whole.model, whole.provider) == ("asked-model", "bedrock")
    assert whole.request_id == "req_0001"


@pytest.mark.anyio
async def test_the_fake_says_what_amazons_own_client_understands(bedrock):
    server = await bedrock.serve([reply(*SAID[:-1], usage=Usage(7, 5))] * 2)
    client: Any = Session().create_client(
        "bedrock-runtime",
        "eu-central-1",
        endpoint_url=server.url,
        aws_access_key_id="AKID",
        aws_secret_access_key="secret",  # noqa: S106 - for a server of ours
        config=Config(retries={"max_attempts": 0}),
    )
    asked = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    whole = await in_thread(lambda: client.converse(**asked))
    content = whole["output"]["message"]["content"]
    assert content[0]["reasoningContent"]["reasoningText"]["text"] == SEALED.text
    assert content[1]["reasoningContent"]["redactedContent"] == b"on"
    assert content[4]["toolUse"]["input"] == {"a": [1, None]}
    assert whole["stopReason"] == "tool_use"
    events = await in_thread(lambda: list(client.converse_stream(**asked)["stream"]))
    assert next(iter(events[0])) == "messageStart"
    text = "".join(
        event["contentBlockDelta"]["delta"].get("text", "")
        for event in events
        if "contentBlockDelta" in event
    )
    assert text == "fineas they say"
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 12


async def in_thread(work):
    return await anyio.to_thread.run_sync(work)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", RateLimited),
        ("serviceUnavailableException", Overloaded),
        ("modelStreamErrorException", ProviderError),
        ("validationException", InvalidRequest),
        ("newsException", ProviderError),
    ],
)
async def test_a_stream_that_ends_in_an_exception_is_a_typed_error(bedrock, name, kind):
    headers = {":message-type": "exception", ":exception-type": name}
    body = encode_event(headers, b'{"message": "what happened"}')
    model = await bedrock.start([Raw(body, content_type=STREAM)], retry=RetryPolicy(attempts=1))
    with pytest.raises(kind, match="what happened") as caught:
        _ = [event async for event in model.stream(ASK)]
    assert caught.value.details["reason"] == name


@pytest.mark.anyio
async def test_a_stream_that_breaks_says_so(bedrock):
    headers = {":message-type": "error", ":error-code": "internal", ":error-message": "boom"}
    body = encode_event(headers, b"")
    model = await bedrock.start([Raw(body, content_type=STREAM)], retry=RetryPolicy(attempts=1))
    with pytest.raises(ProviderError, match="boom"):
        _ = [event async for event in model.stream(ASK)]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("refuse", "kind"),
    [
        (Refuse(424, "ModelErrorException", "The model failed."), ProviderError),
        (Refuse(429, "ThrottlingException", "Too many requests."), RateLimited),
        (Refuse(400, "ValidationException", "Input is too long for the model."), ContextTooLong),
        (Refuse(403, "AccessDeniedException", "No access to it."), AuthenticationFailed),
    ],
)
async def test_refusals_have_their_kind(bedrock, refuse, kind):
    model = await bedrock.start([refuse], retry=RetryPolicy(attempts=1))
    with pytest.raises(CallFailed) as caught:
        await model.complete(ASK)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("reason", "kind"), [("malformed_tool_use", ToolArgumentsInvalid), ("news", ResponseInvalid)]
)
def test_an_end_that_is_no_answer_is_a_typed_error(reason, kind):
    body = {"output": {"message": {"content": []}}, "stopReason": reason}
    with pytest.raises(kind):
        ConverseDialect({}).decode(msgspec.json.encode(body))


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def signature_of(request, secret, region):
    """Compute a signature from what arrived: "Create a signed AWS API request" in AWS's guide."""
    authorization = request.headers["authorization"]
    fields = dict(
        field.strip().split("=", 1) for field in authorization.split(" ", 1)[1].split(",")
    )
    signed = fields["SignedHeaders"].split(";")
    canonical = "\n".join(
        [
            "POST",
            quote(quote(unquote(request.path), safe="/-_.~"), safe="/-_.~"),
            "",
            *[f"{name}:{request.headers[name].strip()}" for name in signed],
            "",
            ";".join(signed),
            hashlib.sha256(msgspec.json.encode(request.body)).hexdigest(),
        ]
    )
    moment = request.headers["x-amz-date"]
    scope = f"{moment[:8]}/{region}/bedrock/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    said = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    return hmac.new(key, said.encode(), "sha256").hexdigest(), fields["Signature"]


@pytest.mark.anyio
@pytest.mark.usefixtures("no_credentials")
async def test_without_a_key_each_try_is_signed(monkeypatch, clock):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-amazon")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-session")
    async with FakeBedrock([Refuse(500), reply("hello")]) as server:
        model = BedrockModel(
            "anthropic.claude-x-v1:0",
            region="eu-west-1",
            base_url=server.url,
            options=HttpOptions(clock=clock),
        )
        assert (await model.complete(ASK)).text == "hello"
        await model.aclose()
    assert len(server.requests) == 2
    for request in server.requests:
        assert request.headers["x-amz-security-token"] == "a-session"
        ours, theirs = signature_of(request, "a-secret-of-amazon", "eu-west-1")
        assert ours == theirs
    assert "a-secret-of-amazon" not in repr(model) + str(server.requests)


@pytest.mark.anyio
@pytest.mark.usefixtures("no_credentials")
async def test_nothing_to_sign_with_is_a_refusal_before_anything_is_sent():
    async with FakeBedrock([]) as server:
        model = BedrockModel("m", region="eu-west-1", base_url=server.url)
        with pytest.raises(AuthenticationFailed, match="none were found") as caught:
            await model.complete(ASK)
        await model.aclose()
    assert server.requests == []
    assert not caught.value.retryable


@pytest.mark.anyio
@pytest.mark.usefixtures("no_credentials")
@pytest.mark.parametrize("phase", ["total", "first_token"])
async def test_a_silent_source_of_credentials_ends_with_the_calls_limit(phase, monkeypatch):
    freed = threading.Event()
    monkeypatch.setattr(Session, "get_credentials", lambda _: freed.wait(30) and None)
    limits = Timeouts(**{phase: 0.05})
    async with FakeBedrock([]) as server:
        model = BedrockModel(
            "m", region="eu-west-1", base_url=server.url, options=HttpOptions(timeouts=limits)
        )
        answer = model.complete(ASK) if phase == "total" else anext(model.stream(ASK))
        try:
            with pytest.raises(ModelTimeout) as caught:
                await answer
        finally:
            freed.set()
        await model.aclose()
    assert caught.value.phase == phase
    assert server.requests == []


def test_an_address_names_its_region_and_nothing_is_guessed():
    address = "https://bedrock-runtime.ap-south-1.amazonaws.com"
    assert "ap-south-1" in repr(BedrockModel("m", base_url=address)._caller.transport._signer)
    with pytest.raises(ConfigurationInvalid, match="region"):
        BedrockModel("m", "key")


def test_a_profile_that_is_not_there_is_a_setting_that_is_wrong():
    model = BedrockModel("m", region="eu-west-1", profile="no-such-profile")
    with pytest.raises(AuthenticationFailed, match="ProfileNotFound"):
        anyio.run(model.complete, ASK)


headers_of_events = st.dictionaries(
    st.from_regex(r"[a-z:-]{1,20}", fullmatch=True), st.text(max_size=30), max_size=4
)


@given(
    st.lists(st.tuples(headers_of_events, st.binary(max_size=99)), max_size=4),
    st.lists(st.integers(1, 40), min_size=1),
)
def test_frames_are_those_of_amazon_however_they_are_cut(frames, cuts):
    body = b"".join(encode_event(headers, payload) for headers, payload in frames)
    theirs = EventStreamBuffer()
    theirs.add_data(body)
    assert [(frame.headers, frame.payload) for frame in theirs] == frames
    parser, events, rest = EventStreamParser(), [], body
    while rest:
        for cut in cuts:
            events += parser.feed(rest[:cut])
            rest = rest[cut:]
    ordinary = [
        (headers.get(":event-type", "").encode(), payload)
        for headers, payload in frames
        if headers.get(":message-type") not in {"error", "exception"}
    ]
    assert [(event.name, event.data) for event in events] == ordinary


@given(st.data())
def test_a_damaged_frame_is_an_error_or_unfinished_never_an_event(data):
    frame = bytearray(encode_event({":event-type": "metadata"}, b'{"a": 1}'))
    position = data.draw(st.integers(0, len(frame) - 1))
    frame[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises((ResponseInvalid, ResponseTooLarge)):
        list(EventStreamParser().feed(bytes(frame)))


@given(st.binary(max_size=64))
def test_other_bytes_are_no_frames(junk):
    with contextlib.suppress(ResponseInvalid):
        assert list(EventStreamParser().feed(junk)) == []


def test_more_headers_than_the_format_has_are_refused_before_they_are_here():
    headers = {f"{number:04}": "x" * 60_000 for number in range(3)}
    frame = encode_event(headers, b"{}")
    with pytest.raises(ResponseInvalid):
        list(EventStreamParser().feed(frame[:12]))
    assert len(list(EventStreamParser().feed(encode_event({"a": "x" * 60_000}, b"{}")))) == 1


def test_a_frame_over_the_limit_is_refused_before_it_is_here():
    frame = encode_event({}, bytes(5000))
    with pytest.raises(ResponseTooLarge):
        list(EventStreamParser(4096).feed(frame[:12]))
