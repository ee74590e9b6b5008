"""Laws of the translation: what goes out in a format comes back the same, or a named error."""

from __future__ import annotations

import contextlib
import itertools

import attrs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toka.llm_gateway import (
    Citation,
    Document,
    Image,
    InvalidRequest,
    Media,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    Native,
    NativeFields,
    NotTranslatable,
    OutputSchema,
    PartEnd,
    Reasoning,
    StopReason,
    Text,
    ToolChoice,
    ToolOutput,
    ToolSchema,
    ToolUse,
    Usage,
    decode_response,
    encode_response,
)
from toka.llm_gateway.formats._face import Asked, Stamp
from toka.llm_gateway.formats._sse import SseParser
from toka.llm_gateway.formats.anthropic._dialect import AnthropicDialect
from toka.llm_gateway.formats.anthropic._face import AnthropicFace
from toka.llm_gateway.formats.chat._dialect import OpenAIDialect
from toka.llm_gateway.formats.chat._face import ChatFace
from toka.llm_gateway.formats.converse._dialect import ConverseDialect
from toka.llm_gateway.formats.gemini._dialect import GeminiDialect
from toka.llm_gateway.formats.responses._dialect import ResponsesDialect
from toka.llm_gateway.formats.responses._face import ResponsesFace
from toka.llm_gateway.testing._fake_anthropic import _complaints as anthropic_complaints
from toka.llm_gateway.testing._fake_bedrock import _complaints as converse_complaints
from toka.llm_gateway.testing._fake_gemini import _complaints as gemini_complaints
from toka.llm_gateway.testing._fake_openai import _complaints as chat_complaints
from toka.llm_gateway.testing._fake_responses import _complaints as responses_complaints
from toka.llm_gateway.testing._scripted import events_of

STAMP = Stamp("0", 0)
DIALECTS = {
    "anthropic": AnthropicDialect({}),
    "chat": OpenAIDialect("max_tokens", {}),
    "responses": ResponsesDialect({}),
    "gemini": GeminiDialect({}),
    "converse": ConverseDialect({}),
}
STRICT = {
    "anthropic": AnthropicDialect({}, strict=True),
    "chat": OpenAIDialect("max_tokens", {}, strict=True),
    "responses": ResponsesDialect({}, strict=True),
}
FACES = {"anthropic": AnthropicFace(), "chat": ChatFace(), "responses": ResponsesFace()}
COMPLAINTS = {
    "anthropic": anthropic_complaints,
    "chat": chat_complaints,
    "responses": responses_complaints,
    "gemini": gemini_complaints,
    "converse": converse_complaints,
}

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.from_regex(r"[a-z_]{1,10}", fullmatch=True)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
arguments = st.dictionaries(texts, json, max_size=3)
media = st.builds(Media.of, st.binary(min_size=1, max_size=9), st.just("image/png"))
files = st.builds(Media.of, st.binary(min_size=1, max_size=9), st.just("application/pdf"))
addresses = st.builds(Media, url=st.just("https://example.org/a?b=c"))
uploads = st.builds(Media, file_id=names)
caches = st.sampled_from([None, None, "5m", "1h"])
anthropic_cited = {"type": "char_location", "cited_text": "x", "document_title": "T"}
responses_cited = {
    "type": "url_citation",
    "url": "https://x",
    "title": "T",
    "start_index": 1,
    "end_index": 2,
}
LINK = Citation("", "T", "https://x", 1, 2, "responses", responses_cited)


def reasoning_item(thought):
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": thought}],
        "encrypted_content": "gAAA",
    }
    return Reasoning(thought, msgspec.json.encode(item).decode(), format="responses")


SAYS = {
    # By format: what a user says, what a tool gives, what a model says besides text and tools.
    "anthropic": (
        st.builds(Text, texts, cache=caches)
        | st.builds(Image, media | addresses | uploads, cache=caches)
        | st.builds(Document, files | addresses | uploads, title=names, cite=st.booleans()),
        texts | st.tuples(st.builds(Text, texts), st.builds(Image, media)),
        st.builds(Text, texts, st.just((Citation("x", "T", data=anthropic_cited),)))
        | st.builds(Reasoning, texts, texts)
        | st.builds(lambda seal: Reasoning("", seal, redacted=True), texts)
        | st.just(Native("anthropic", {"type": "server_tool_use", "id": "s", "name": "n"})),
    ),
    "chat": (
        st.builds(Text, texts)
        | st.builds(Image, media | addresses, detail=st.sampled_from(["", "low"]))
        | st.builds(Document, uploads)
        | st.builds(Document, files, title=names)
        | st.just(Native("chat", {"type": "input_audio", "input_audio": {"data": "aa"}})),
        texts,
        st.nothing(),
    ),
    "responses": (
        st.builds(Text, texts)
        | st.builds(Image, media | addresses | uploads, detail=st.sampled_from(["", "low"]))
        | st.builds(Document, uploads | addresses)
        | st.builds(Document, files, title=names),
        texts | st.tuples(st.builds(Text, texts), st.builds(Image, media)),
        st.builds(reasoning_item, texts)
        | st.just(Native("responses", {"type": "web_search_call", "id": "ws_1"}))
        | st.builds(
            Text,
            texts,
            st.just((Citation("", "T", "https://x", 1, 2, "responses", responses_cited),)),
        ),
    ),
}


@st.composite
def requests(draw, written_in):
    said, given_back, thought = SAYS[written_in]
    messages = [ModelMessage("user", tuple(draw(st.lists(said, min_size=1, max_size=3))))]
    for turn in range(draw(st.integers(0, 3))):
        uses = [
            ToolUse(f"t{turn}_{n}", draw(names), draw(arguments))
            for n in range(draw(st.integers(0, 2)))
        ]
        parts = [
            *draw(st.lists(thought, max_size=2 if written_in != "chat" else 0)),
            *draw(st.lists(text_parts, max_size=1)),
        ]
        spoken = [*parts, *uses] or [Text("ok")]
        messages.append(ModelMessage("assistant", tuple(spoken)))
        failed = st.booleans() if written_in == "anthropic" else st.just(False)
        outputs = [ToolOutput(use.id, draw(given_back), draw(failed)) for use in uses]
        after = draw(st.lists(said, min_size=0 if outputs else 1, max_size=2))
        messages.append(ModelMessage("user", (*outputs, *after)))
    return ModelRequest(
        tuple(messages),
        system=draw(texts | st.just("")),
        tools=tuple(draw(st.lists(tools, max_size=2))),
        max_output_tokens=draw(st.integers(1, 9999)),
        temperature=draw(st.none() | st.sampled_from([0, 0.5, 1])),
        top_p=draw(st.none() | st.just(0.25)),
        stop=() if written_in == "responses" else tuple(draw(st.lists(names, max_size=2))),
        tool_choice=draw(choices),
        output=draw(outputs_wanted),
        effort=draw(st.sampled_from([None, "low", "medium", "high"])),
    )


text_parts = st.builds(Text, texts)
tools = st.builds(
    ToolSchema, names, texts, st.just({"type": "object", "properties": {}}), st.just(False)
)
choices = st.none() | st.sampled_from(
    [ToolChoice("auto"), ToolChoice("any"), ToolChoice("named", "x"), ToolChoice("any", "", True)]
)
outputs_wanted = st.none() | st.just(OutputSchema({"type": "object", "properties": {}}))


def merged(request):
    """Return the request with neighbouring messages of one role, and texts, put together."""
    messages = tuple(
        ModelMessage(role, tuple(part for message in group for part in message.parts))
        for role, group in itertools.groupby(request.messages, key=lambda each: each.role)
    )
    return attrs.evolve(request, messages=messages, native=None)


@pytest.mark.parametrize("name", FACES)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25)
@given(data=st.data())
def test_a_request_comes_back_as_it_went(name, data):
    request = data.draw(requests(name))
    for stream in (False, True):
        body = STRICT[name].encode(request, "a-model", stream=stream)
        asked = FACES[name].parse(body)
        assert asked.model == "a-model"
        assert asked.stream is stream
        assert merged(asked.request) == merged(request)


@pytest.mark.parametrize("target", DIALECTS)
@pytest.mark.parametrize("source", FACES)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25)
@given(data=st.data())
def test_every_request_is_understood_by_every_provider_or_refused_by_name(source, target, data):
    request = data.draw(requests(source))
    try:
        body = DIALECTS[target].encode(request, "a-model", stream=False)
    except NotTranslatable as error:
        refusal = error
    else:
        assert list(COMPLAINTS[target](msgspec.json.decode(body))) == []
        return
    assert refusal.details["what"]
    assert refusal.details["format"] == target


ANSWERS = {
    "anthropic": st.builds(Text, texts)
    | st.builds(Reasoning, texts, texts)
    | st.builds(lambda seal: Reasoning("", seal, redacted=True), texts)
    | st.just(Native("anthropic", {"type": "server_tool_use", "id": "s", "name": "n", "input": {}}))
    | st.builds(Text, texts, st.just((Citation("x", "T", data=anthropic_cited),))),
    "chat": st.nothing(),
    "responses": st.builds(Text, texts)
    | st.builds(reasoning_item, texts)
    | st.just(Native("responses", {"type": "web_search_call", "id": "ws_1"})),
}
usages = st.builds(Usage, *[st.integers(0, 99)] * 4, st.just(0))


@st.composite
def answers(draw, written_in):
    parts = draw(st.lists(ANSWERS[written_in], max_size=3 if written_in != "chat" else 0))
    if written_in == "chat":
        parts = draw(st.lists(text_parts, max_size=1))
    uses = [ToolUse(f"c{n}", draw(names), draw(arguments)) for n in range(draw(st.integers(0, 2)))]
    stop = StopReason.TOOL_USE if uses else StopReason.END_TURN
    return ModelResponse(
        ModelMessage("assistant", (*parts, *uses)), stop, draw(usages), "a-model", "p"
    )


ASKED = Asked(ModelRequest((ModelMessage.user("x"),)), "a-model", stream=True, usage_wanted=True)


def received(name, response):
    """Return the answer that a client makes of our stream, and its parts as they ended."""
    renderer = FACES[name].renderer(ASKED, STAMP)
    body = b"".join(renderer.feed(event) for event in events_of(response))
    assembler = DIALECTS[name].assembler()
    deltas = [delta for event in SseParser().feed(body) for delta in assembler.feed(event)]
    assert assembler.complete
    assert assembler.finished
    return assembler.answer(), [delta.part for delta in deltas if isinstance(delta, PartEnd)]


@pytest.mark.parametrize("name", FACES)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25)
@given(data=st.data())
def test_an_answer_comes_back_as_it_went_whole_and_streamed(name, data):
    response = data.draw(answers(name))
    whole = DIALECTS[name].decode(FACES[name].whole(response, ASKED, STAMP))
    streamed, ended = received(name, response)
    for answer in (whole, streamed):
        assert answer.message == response.message
        assert answer.stop_reason == response.stop_reason
        assert answer.usage == response.usage
    if name != "chat":
        assert tuple(ended) == response.message.parts


@pytest.mark.parametrize("name", FACES)
@pytest.mark.parametrize("origin", ["anthropic", "chat", "responses", "gemini", "converse"])
def test_a_seal_of_any_provider_survives_any_face(name, origin):
    item = msgspec.json.encode({"type": "reasoning", "id": "r", "summary": []}).decode()
    sealed = Reasoning("", item if origin == "responses" else "[1]", format=origin)
    answer = ModelResponse(
        ModelMessage("assistant", (sealed, Text("hi"))), StopReason.END_TURN, Usage(), "m", "p"
    )
    said = msgspec.json.decode(FACES[name].whole(answer, ASKED, STAMP))
    if name == "chat":
        body = {"messages": [{"role": "user", "content": "x"}, said["choices"][0]["message"]]}
    elif name == "anthropic":
        turn = {"role": "assistant", "content": said["content"]}
        body = {"messages": [{"role": "user", "content": "x"}, turn], "max_tokens": 9}
    else:
        body = {"input": [{"role": "user", "content": "x"}, *said["output"]]}
    asked = FACES[name].parse(msgspec.json.encode({**body, "model": "m"}))
    assert asked.request.messages[1].parts[0] == sealed


@pytest.mark.parametrize("source", FACES)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25)
@given(data=st.data())
def test_an_answer_is_kept_as_it_is(source, data):
    response = data.draw(answers(source))
    assert decode_response(encode_response(response)) == response
    kept = data.draw(requests(source))
    for message in kept.messages:
        held = attrs.evolve(response, message=message)
        assert decode_response(encode_response(held)) == held


@pytest.mark.parametrize("name", FACES)
@settings(max_examples=40)
@given(body=st.binary() | json.map(msgspec.json.encode))
def test_no_request_breaks_a_face(name, body):
    with pytest.raises(InvalidRequest):
        FACES[name].parse(body)


FIELDS = (
    "messages input tools tool_choice system max_tokens stop text response_format output_config"
    " reasoning thinking temperature"
)
odd = st.dictionaries(
    st.sampled_from(FIELDS.split()),
    st.recursive(
        json,
        lambda inner: st.lists(
            st.dictionaries(
                st.sampled_from(["role", "content", "type", "text", "tool_calls", "source", "id"]),
                st.sampled_from(["user", "assistant", "tool", "text", "image_url"]) | inner,
                max_size=4,
            ),
            max_size=3,
        ),
        max_leaves=4,
    ),
)


@pytest.mark.parametrize("name", FACES)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25)
@given(body=odd)
def test_a_request_of_the_wrong_shape_is_an_invalid_request(name, body):
    with contextlib.suppress(InvalidRequest):
        FACES[name].parse(msgspec.json.encode({"model": "m", "max_tokens": 9, **body}))


def test_fields_of_one_format_go_back_to_it_and_nowhere_else():
    fields = NativeFields("chat", {"seed": 7, "logit_bias": {"1": 2}})
    request = ModelRequest((ModelMessage.user("x"),), native=fields)
    body = msgspec.json.decode(DIALECTS["chat"].encode(request, "m", stream=False))
    assert body["seed"] == 7
    with pytest.raises(NotTranslatable, match="seed"):
        DIALECTS["anthropic"].encode(request, "m", stream=False)
    harmless = attrs.evolve(request, native=NativeFields("chat", {"user": "u"}))
    assert DIALECTS["anthropic"].encode(harmless, "m", stream=False)
    with pytest.raises(NotTranslatable, match="user"):
        STRICT["anthropic"].encode(harmless, "m", stream=False)


LOSSES = {
    "a cache mark": ModelMessage("user", (Text("x", cache="5m"),)),
    "reasoning": ModelMessage("assistant", (Reasoning("x", "sig", format="gemini"), Text("y"))),
    "a citation": ModelMessage("assistant", (Text("x", (Citation("q"),)),)),
}


@pytest.mark.parametrize("what", LOSSES)
def test_notes_are_left_out_unless_losses_are_forbidden(what):
    request = ModelRequest((ModelMessage.user("q"), LOSSES[what], ModelMessage.user("z")))
    assert DIALECTS["chat"].encode(request, "m", stream=False)
    with pytest.raises(NotTranslatable):
        STRICT["chat"].encode(request, "m", stream=False)
