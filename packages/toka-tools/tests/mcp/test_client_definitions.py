from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from toka.tools.mcp._errors import ProtocolError
from toka.tools.mcp.client import (
    DefinitionChangedError,
    InvalidResultError,
    InvalidServerError,
    NotApprovedError,
    Pins,
    UnusableDefinitionError,
    differences,
    load_servers,
    local_name,
    parse_servers,
    servers_schema,
)
from toka.tools.mcp.client._definition import Definition, read_definition
from toka.tools.mcp.client._events import EventParser
from toka.tools.mcp.client._schemas import check_result, vet_schema

if TYPE_CHECKING:
    from pathlib import Path

    from toka.types import Json

ANY: dict[str, Json] = {"type": "object"}
names = st.text("abcXYZ019_-./", min_size=1, max_size=128)


def tool(name: str = "t", **more: Json) -> Definition:
    return read_definition("it", {"name": name, "inputSchema": ANY, **more})


@given(names)
def test_every_name_that_mcp_allows_is_one_here(name: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", tool(name).local_name)


def test_the_server_comes_first_and_cannot_be_forged() -> None:
    assert local_name("a", "get-Time") == "a__get_time"
    with pytest.raises(InvalidServerError):
        parse_servers({"servers": {"a__b": {"command": "x"}}})
    assert local_name("a", "x" * 100) != local_name("a", "x" * 99)


@pytest.mark.parametrize(
    "name",
    ["", "a" * 129, "read\x1b[2J", "rеad", "read file", "a\n", "a\u202eb", "ｒead", "a\x00"],  # noqa: RUF001 - look-alikes are the point
)
def test_names_outside_of_ascii_are_refused(name: str) -> None:
    with pytest.raises(UnusableDefinitionError) as refused:
        tool(name)
    assert str(refused.value).isascii()
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u202e", "\U000e0041", "\x1b[8m", "\ufeff", "\u2066", "\ue000"]
)
def test_text_that_nobody_can_see_is_refused_wherever_it_is(hidden: str) -> None:
    for more in (
        {"description": f"Good.{hidden}Bad."},
        {"title": hidden},
        {"annotations": {"title": hidden}},
        {"outputSchema": {"type": "object", "properties": {hidden: {}}}},
    ):
        with pytest.raises(UnusableDefinitionError, match="nobody can see"):
            tool(**more)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - made up
    assert tool(description="Ordinary: é, 日本, 👩‍💻, tab\tand\r\nlines.").description


def test_a_definition_too_long_is_refused() -> None:
    with pytest.raises(UnusableDefinitionError, match="longer"):
        tool(description="x" * 70_000)


@pytest.mark.parametrize("wrong", [None, 1, [], {}, {"name": 1}, {"name": "a", "inputSchema": 1}])
def test_what_is_no_definition_is_refused(wrong: Json) -> None:
    with pytest.raises(UnusableDefinitionError):
        read_definition("it", wrong)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"description": "b"}, "/description: changed"),
        ({"title": "T"}, "/title: added"),
        ({"annotations": {"readOnlyHint": True}}, "/annotations: added"),
        (
            {"inputSchema": {"type": "object", "properties": {"a": {"description": "y"}}}},
            "/inputSchema/properties/a/description: changed",
        ),
        ({"outputSchema": ANY}, "/outputSchema: added"),
    ],
)
def test_any_change_is_found_and_named(change: dict[str, Json], where: str) -> None:
    schema: Json = {"type": "object", "properties": {"a": {"description": "x"}}}
    before = tool(description="a", inputSchema=schema)
    after = tool(**{"description": "a", "inputSchema": schema, **change})
    pins = Pins().approve([before])
    pins.check(before)
    with pytest.raises(DefinitionChangedError) as refused:
        pins.check(after)
    assert refused.value.details["changes"] == [where]


def test_what_is_not_pinned_does_not_count() -> None:
    pins = Pins().approve([tool()])
    pins.check(tool(_meta={"x": 1}, icons=[]))
    assert differences({"a": 1}, {"a": True}) == ["/a: changed"]


def test_the_order_of_keys_is_no_change() -> None:
    one = read_definition("it", {"name": "t", "inputSchema": {"type": "object", "x": 1}})
    other = read_definition("it", {"inputSchema": {"x": 1, "type": "object"}, "name": "t"})
    assert one.sha256 == other.sha256


def test_pins_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "pins.json"
    assert Pins.load(path).of("it") == {}
    pins = Pins().approve([tool("a"), tool("b")])
    pins.save(path)
    loaded = Pins.load(path)
    loaded.check(tool("a"))
    with pytest.raises(NotApprovedError):
        loaded.check(tool("c"))
    with pytest.raises(NotApprovedError):
        loaded.withdraw("it", "a").check(tool("a"))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version":1}', '{"version":1,"servers":[]}'])
def test_a_file_that_holds_no_pins_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pins.json"
    path.write_text(text)
    with pytest.raises(InvalidServerError):
        Pins.load(path)


def test_pins_changed_by_hand_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pins.json"
    Pins().approve([tool(description="good")]).save(path)
    path.write_text(path.read_text().replace("good", "evil"))
    with pytest.raises(InvalidServerError, match="by hand"):
        Pins.load(path)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema"},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"properties": {"a": {"$dynamicRef": "#x"}}},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#nowhere"},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"items": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}},
        {"properties": {"a": {"$ref": "#"}}, "patternProperties": {"a": {"$ref": "#"}}},
        {"properties": {"a": {"pattern": "(?=x)"}}},
        {"patternProperties": {"(a)\\1": {}}},
    ],
)
def test_schemas_without_an_end_or_from_elsewhere_are_refused(schema: dict[str, Json]) -> None:
    with pytest.raises(UnusableDefinitionError):
        vet_schema(schema, "it")


def doubling(levels: int, keyword: str) -> dict[str, Json]:
    definitions: dict[str, Json] = {"d0": {"type": "string"}}
    for level in range(levels):
        inner: Json = {"$ref": f"#/$defs/d{level}"}
        definitions[f"d{level + 1}"] = {keyword: [inner, inner]}
    return {"$ref": f"#/$defs/d{levels}", "$defs": definitions}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_a_schema_that_doubles_is_refused_at_once(keyword: str) -> None:
    began = time.process_time()
    with pytest.raises(UnusableDefinitionError):
        vet_schema(doubling(60, keyword), "it")
    assert time.process_time() - began < 1
    vet_schema(doubling(8, keyword), "it")


def test_a_schema_too_deep_is_refused_at_once() -> None:
    deep: Json = {}
    for _ in range(100_000):
        deep = {"not": deep}
    with pytest.raises(UnusableDefinitionError):
        vet_schema({"items": deep}, "it")
    wide: dict[str, Json] = {str(n): {} for n in range(10_000)}
    with pytest.raises(UnusableDefinitionError):
        vet_schema({"properties": wide}, "it")


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "value": {}}},
        {
            "$defs": {
                "json": {
                    "anyOf": [
                        {"type": ["string", "number", "boolean", "null"]},
                        {"type": "array", "items": {"$ref": "#/$defs/json"}},
                        {"type": "object", "additionalProperties": {"$ref": "#/$defs/json"}},
                    ]
                }
            },
            "properties": {"value": {"$ref": "#/$defs/json"}},
        },
        {"$defs": {"a": {"$anchor": "here"}}, "properties": {"x": {"$ref": "#here"}}},
        {"properties": {"$ref": {"type": "string"}, "pattern": {"const": "(?=x)"}}},
        {"properties": {"a": {"enum": [{"$ref": "https://example.com"}]}}},
        {"items": False, "properties": {"a": True}},
    ],
)
def test_ordinary_schemas_are_accepted(schema: dict[str, Json]) -> None:
    vet_schema(schema, "it")
    check_result(schema, {}, "it")


def test_results_are_checked_in_linear_time() -> None:
    began = time.process_time()
    with pytest.raises(InvalidResultError):
        check_result({"pattern": "^(a+)+$"}, "a" * 10_000 + "!", "it")
    check_result({"uniqueItems": True}, list(range(20_000)), "it")
    with pytest.raises(InvalidResultError):
        check_result({"uniqueItems": True}, [{"a": n % 9_999} for n in range(10_000)], "it")
    with pytest.raises(InvalidResultError, match="could not be checked"):
        check_result({"items": {"type": "integer"}}, [1] * 300_000, "it")
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"pattern": "^a+$"}, "aa", True),
        ({"pattern": "^a+$"}, "ab", False),
        ({"patternProperties": {"^x": {"type": "integer"}}}, {"x1": 1, "y": "a"}, True),
        ({"patternProperties": {"^x": {"type": "integer"}}}, {"x1": "a"}, False),
        ({"uniqueItems": True}, [1, 1.5, "1", None], True),
        ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], False),
        ({"uniqueItems": False}, [1, 1], True),
    ],
)
def test_rules_of_our_own_say_what_the_usual_ones_say(
    schema: dict[str, Json], value: Json, fits: bool
) -> None:
    if fits:
        check_result(schema, value, "it")
    else:
        with pytest.raises(InvalidResultError):
            check_result(schema, value, "it")


def test_a_result_too_deep_is_refused() -> None:
    deep: Json = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(InvalidResultError, match="deeper"):
        check_result({}, deep, "it")


def data_of(text: str) -> list[str]:
    return [f"data: {line}" for line in text.split("\n")]


@given(st.lists(st.text("ab\n: x", max_size=9), max_size=5), st.integers(1, 7))
def test_events_do_not_depend_on_how_bytes_come(texts: list[str], size: int) -> None:
    events = [[f"id: {number}", *data_of(text), ""] for number, text in enumerate(texts)]
    stream = "".join(f"{line}\n" for event in events for line in event).encode()
    parser = EventParser(10_000)
    found = [
        event.data.decode()
        for start in range(0, len(stream), size)
        for event in parser.feed(stream[start : start + size])
    ]
    assert found == texts


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_of_the_standard_is_one(end: bytes) -> None:
    parser = EventParser(1_000)
    stream = end.join(
        [b": comment", b"data:x", b"retry: 20", b"id: 7", b"", b"data: y", b"", b"", b""]
    )
    found = [event.data for event in parser.feed(stream)]
    assert found == [b"x", b"y"]
    assert (parser.last_id, parser.retry_ms) == ("7", 20)


def test_an_event_without_an_end_is_refused() -> None:
    for piece in (b"data: " + b"x" * 600, b"data: " + b"x" * 90 + b"\n"):
        parser = EventParser(500)
        with pytest.raises(ProtocolError):
            feed_often(parser, piece)


def feed_often(parser: EventParser, piece: bytes) -> None:
    for _ in range(10):
        list(parser.feed(piece))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, "command"),
        ({"command": "a", "url": "https://x"}, "not both"),
        ({"command": "a", "bearer_env": "T"}, "url"),
        ({"url": "https://x", "bearer_env": "T", "authorization": {}}, "authorization"),
        ({"command": "a", "sandboxx": "none"}, "sandboxx"),
        ({"command": "a", "sandbox": "strong"}, "strong"),
        ({"command": "a", "tools": {"t": {"effekt": "none"}}}, "effekt"),
        ({"command": "a", "timeout": 0}, "timeout"),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused(
    wrong: dict[str, Json], why: str
) -> None:
    with pytest.raises(InvalidServerError, match=why):
        parse_servers({"servers": {"it": wrong}})


RESTRICTED = [{"grants": ["fs:read:/data/**"]}, {"network": False}]


@pytest.mark.parametrize("restricted", RESTRICTED)
def test_a_restriction_that_nothing_would_hold_is_refused_with_what_would(restricted) -> None:
    validator = Draft202012Validator(json.loads(msgspec.json.encode(servers_schema())))
    document = {"servers": {"it": {"command": "x", **restricted}}}
    assert not validator.is_valid(document)
    with pytest.raises(InvalidServerError, match=r"landlock.*`sandbox = \"limits\"` to run"):
        parse_servers(document)
    for sandbox in ("none", "limits", "landlock", "namespaces"):
        document["servers"]["it"]["sandbox"] = sandbox
        validator.validate(document)
        assert parse_servers(document)["it"].level == sandbox


@pytest.mark.parametrize(
    "restricted", [*RESTRICTED, {"sandbox": "landlock"}, {"readable": ["/opt"]}]
)
def test_a_server_elsewhere_has_no_sandbox_here(restricted) -> None:
    validator = Draft202012Validator(json.loads(msgspec.json.encode(servers_schema())))
    document = {"servers": {"it": {"url": "https://a.example", **restricted}}}
    assert not validator.is_valid(document)
    with pytest.raises(InvalidServerError, match="`command` has a sandbox"):
        parse_servers(document)


@pytest.mark.parametrize("suffix", ["toml", "yaml"])
def test_servers_are_read_from_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"servers.{suffix}"
    text = {
        "toml": '[servers.it]\ncommand = "x"\n[servers.it.tools.t]\neffect = "none"\n',
        "yaml": "servers:\n  it:\n    command: x\n    tools: {t: {effect: none}}\n",
    }
    path.write_text(text[suffix])
    config = load_servers(path)["it"]
    assert (config.effect_of("t"), config.effect_of("u")) == ("none", "external")
    path.write_text("servers = [" if suffix == "toml" else "servers: [")
    with pytest.raises(InvalidServerError):
        load_servers(path)
    with pytest.raises(InvalidServerError):
        load_servers(tmp_path / "none.toml")


def test_the_schema_of_the_file_knows_its_keys() -> None:
    schema = json.loads(msgspec.json.encode(servers_schema()))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    validator.validate({"servers": {"it": {"command": "x", "sandbox": "landlock"}}})
    assert not validator.is_valid({"servers": {"it": {"comand": "x"}}})


def test_a_secret_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_IT", "s3cret")
    config = parse_servers({"servers": {"it": {"command": "x", "env_from": ["TOKEN_OF_IT"]}}})["it"]
    assert config.environment() == {"TOKEN_OF_IT": "s3cret"}
    assert "s3cret" not in repr(config)
    monkeypatch.delenv("TOKEN_OF_IT")
    with pytest.raises(InvalidServerError, match="TOKEN_OF_IT"):
        config.environment()
