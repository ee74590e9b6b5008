from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.agent_runtime import ExpressionFailed, PlaybookInvalid, Template, TemplateInvalid

if TYPE_CHECKING:
    from toka.types import Json

VARIABLES: dict[str, Json] = {
    "inputs": {"target": "src", "count": 3, "share": 0.5, "none": None, "list": [1, 2]},
    "item": {"path": "a.py", "size": 7},
    "index": 4,
    "run": "R",
    "agent": {"name": "inventory"},
    "results": {},
}


def render(source: Json) -> Json:
    return Template.parse(source).render(VARIABLES)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("${inputs.target}", "src"),
        ("${inputs.count}", 3),
        ("${inputs.share}", 0.5),
        ("${inputs.none}", None),
        ("${item.size > 0}", True),
        ("${inputs.list.map(x, x * 2)}", [2, 4]),
        ("${{'a': item}}", {"a": {"path": "a.py", "size": 7}}),
        ("${inputs.target}/${item.path}", "src/a.py"),
        ("n=${inputs.count} l=${inputs.list} b=${true} z=${null}", "n=3 l=[1,2] b=true z=null"),
        ("plain", "plain"),
        ("", ""),
        ("$", "$"),
        ("$5 {x}", "$5 {x}"),
        ("$${inputs.target}", "${inputs.target}"),
        ("a$${b}${index}", "a${b}4"),
        ("${ '}' + \"{\" }", "}{"),
        ("${{'a': {'b': 1}}.a.b}", 1),
        ("${'it\\'s }'}", "it's }"),
        ("${'''}'''}", "}"),
        ("${r'\\d}'}", "\\d}"),
        (["${index}", {"k": "${run}"}, 1, None], [4, {"k": "R"}, 1, None]),
        ({"a": "$${", "b": [True]}, {"a": "${", "b": [True]}),
        ("${'a,b'.split(',').join('-').replace('a', 'c').upperAscii()}", "C-B"),
        ("${' é '.trim().upperAscii() + 'X'.lowerAscii()}", "éx"),
    ],
)
def test_a_template_renders(source: Json, value: Json):
    result = render(source)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("source", "offset", "words"),
    [
        ("ab ${inputs.target", 3, "no } that ends it"),
        ("ab ${'}", 5, "not an expression"),
        ("ab ${'}'", 3, "no } that ends it"),
        ("ab ${1 +} c", 8, "not an expression"),
        ("ab ${nothing}", 5, "undeclared reference to 'nothing'"),
        ("${}", 2, "not an expression"),
        ("${inputs.target.explode()}", 23, "explode"),
        ("${1 + 'a'}", 4, "no matching overload"),
        ("${\n  1 + nothing\n}", 9, "nothing"),
    ],
)
def test_a_wrong_template_says_where(source: str, offset: int, words: str):
    with pytest.raises(TemplateInvalid, match=words) as caught:
        Template.parse(source)
    assert caught.value.offset == offset
    assert caught.value.code == "agent.template_invalid"


def test_the_place_in_a_nested_value_is_told():
    with pytest.raises(TemplateInvalid) as caught:
        Template.parse({"argv": ["wc", "x ${nope}"]})
    assert caught.value.path == ("argv", 1)
    assert caught.value.offset == 4


def test_only_declared_names_are_seen():
    assert Template.parse("${files}", {"files"}).render({"files": [1]}) == [1]
    with pytest.raises(TemplateInvalid, match=r"Known here: files"):
        Template.parse("${inputs}", {"files"})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("${inputs.missing}", "Key not found"),
        ("${inputs.count / 0}", "divide by zero"),
        ("${inputs.count + 0.5}", "overload"),
        ("${9223372036854775807 + index}", "overflow"),
        ("${b'bytes'}", "not JSON"),
        ("${timestamp('2026-01-01T00:00:00Z')}", "not JSON"),
        ("${{1: 2}}", "not text"),
        ("${0.0 / 0.0}", "not a JSON number"),
        ("${type(1)}", "not JSON"),
        ("${'x'.replace('', 'y'.replace('y', run)).split('R')[7]}", "has no value"),
    ],
)
def test_an_expression_without_a_value_fails(source: str, words: str):
    with pytest.raises(ExpressionFailed, match=words):
        render(source)


def test_an_integer_beyond_64_bits_cannot_be_reckoned_with():
    with pytest.raises(ExpressionFailed, match="range"):
        Template.parse("${inputs > 1}").render({"inputs": 1 << 70})


def test_a_plain_selection_is_what_the_language_says():
    for text in ("inputs.list", "inputs.none", "item", "agent.name", "inputs.missing", "run.x"):
        plain, computed = Template.parse(f"${{{text}}}"), Template.parse(f"${{true ? {text} : 0}}")
        assert _outcome(plain) == _outcome(computed)


def _outcome(template: Template) -> Json:
    try:
        return template.render(VARIABLES)
    except ExpressionFailed as error:
        return error.message.partition("has no value")[2]


@pytest.mark.parametrize(
    "source",
    [
        "${" + "(" * 5_000 + "1" + ")" * 5_000 + "}",
        "${" + "[" * 2_000 + "]" * 2_000 + "}",
        "${" + "+".join(["1"] * 3_000) + "}",
        "${'" + "a" * 100_000 + "'}",
        "${" * 10_000,
        "}" * 10_000 + "${",
        "${\ud800}",
        "${__import__('os').system('true')}",
        "${inputs.__class__.__mro__}",
        "${().__class__}",
    ],
)
def test_hostile_expressions_are_refused_at_once(source: str):
    start = time.process_time()
    with pytest.raises((TemplateInvalid, ExpressionFailed)) as caught:
        render(source)
    assert len(str(caught.value)) < 1_000
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "source",
    [
        "${inputs.l.all(a, inputs.l.all(b, inputs.l.all(c, a + b + c >= 0)))}",
        "${inputs.l.map(a, inputs.l.map(b, inputs.l.map(c, c)))}",
        "${inputs.s.replace('x', inputs.s)}",
        "${inputs.l.map(a, inputs.s).join(inputs.s)}",
    ],
)
def test_work_that_explodes_is_cut_off(source: str):
    variables: dict[str, Json] = {"inputs": {"l": list(range(500)), "s": "x" * 10_000}}
    with pytest.raises(ExpressionFailed):
        Template.parse(source).render(variables)


def test_a_regular_expression_does_not_backtrack():
    start = time.process_time()
    variables: dict[str, Json] = {"inputs": "x" * 50_000}
    assert Template.parse("${inputs.matches('(x+x+)+y')}").render(variables) is False
    assert time.process_time() - start < 1


def test_a_text_does_not_grow_without_bound():
    variables: dict[str, Json] = {"inputs": "x" * 1_000_000}
    with pytest.raises(ExpressionFailed, match="grew"):
        Template.parse(" ".join(["${inputs}"] * 5)).render(variables)


def test_values_nested_too_deeply_are_refused():
    value: Json = "x"
    for _ in range(100):
        value = [value]
    with pytest.raises(PlaybookInvalid, match="deep"):
        Template.parse(value)


@given(st.text(st.characters(exclude_characters="$", exclude_categories=["Cs"])))
def test_text_without_a_dollar_sign_stays_as_it_is(text: str):
    assert render(text) == text


@given(st.text("${}'\"\\ ax1.", max_size=30))
def test_any_text_parses_or_is_refused(text: str):
    with contextlib.suppress(ExpressionFailed):
        try:
            Template.parse(text).render(VARIABLES)
        except TemplateInvalid as error:
            caught = error
        else:
            return
        assert 0 <= caught.offset <= len(text)


# The library cuts texts at U+0000 (see Limits in the README), so these have none.
_texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=10,
)


@given(_json)
def test_a_value_survives_the_way_through_an_expression(value: Json):
    assert Template.parse("${inputs}").render({"inputs": value}) == value
    assert Template.parse("${[inputs][0]}").render({"inputs": value}) == value
