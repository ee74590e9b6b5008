"""Forms of answers: what is one, and what fits it."""

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Raw, json

from toka.kernel._forms import faults_of_form, reasons_against


def raw(value) -> Raw:
    return Raw(json.encode(value))


def deep(levels: int) -> object:
    return {"type": "array", "items": deep(levels - 1)} if levels else {"type": "boolean"}


@pytest.mark.parametrize(
    "form",
    [
        {"type": "string"},
        {"enum": ["a", 1, None]},
        {"type": "string", "minLength": 1, "maxLength": 9, "title": "T", "default": "x"},
        {"type": "number", "minimum": 0.5, "maximum": 2},
        {"type": "array", "items": {"enum": [1, 2]}, "minItems": 1, "maxItems": 2},
        {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]},
        {"type": "object", "additionalProperties": False},
        deep(7),
    ],
)
def test_these_are_forms(form):
    assert list(faults_of_form(raw(form))) == []


@pytest.mark.parametrize(
    "form",
    [
        None,
        [],
        {},
        {"type": "text"},
        {"type": ["string", "null"]},
        {"type": "null"},
        {"enum": []},
        {"enum": "ab"},
        {"type": "string", "pattern": "(a+)+$"},
        {"$ref": "#"},
        {"anyOf": [{"type": "string"}]},
        {"type": "string", "minLength": -1},
        {"type": "string", "maxLength": True},
        {"type": "string", "minimum": 1},
        {"type": "number", "minimum": "1"},
        {"type": "array", "items": True},
        {"type": "array", "items": {"type": "text"}},
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": {"type": "text"}}},
        {"type": "object", "properties": {}, "required": ["a"]},
        {"type": "object", "properties": {"1": {"type": "string"}}, "required": [1]},
        {"type": "object", "additionalProperties": True},
        deep(8),
    ],
)
def test_these_are_none(form):
    assert list(faults_of_form(raw(form)))


@pytest.mark.parametrize("text", [b"{", b'{"type":', b"[" * 100_000, b'"\xff"'])
def test_what_is_not_json_is_no_form(text):
    assert list(faults_of_form(Raw(text)))


@pytest.mark.parametrize(
    ("form", "answer", "reason"),
    [
        ({"type": "integer"}, True, "is to be an integer"),
        ({"type": "integer"}, 1.5, "is to be an integer"),
        ({"type": "boolean"}, 1, "is to be a boolean"),
        ({"enum": [1]}, True, "is none of 1"),
        ({"type": "string", "minLength": 2}, "é", "less than 2 characters"),
        ({"type": "string", "maxLength": 2}, "äöü", "more than 2 characters"),
        ({"type": "array", "minItems": 1}, [], "less than 1 items"),
        (
            {"type": "array", "items": {"type": "string"}},
            ["a", 1],
            "item 2 of it is to be a string",
        ),
        ({"type": "number", "maximum": 2}, 3, "more than 2"),
        ({"type": "object"}, {"a": 1}, "'a' is not asked for"),
    ],
)
def test_a_reason_says_what_is_wrong(form, answer, reason):
    (said,) = reasons_against(raw(form), raw(answer))
    assert reason in said


def test_reasons_are_few_and_short():
    many = {str(number): 1 for number in range(100)} | {"x" * 10_000: 1}
    reasons = reasons_against(raw({"type": "object"}), raw(many))
    assert len(reasons) == 10
    assert all(len(reason) < 300 for reason in reasons)


notes = st.fixed_dictionaries({}, optional={"title": st.text(max_size=5)})
leaves = st.one_of(
    st.builds(
        lambda a, b: {"type": "string", "minLength": a, "maxLength": b}, *[st.integers(0, 4)] * 2
    ),
    st.builds(
        lambda a, b: {"type": "integer", "minimum": a, "maximum": b}, *[st.integers(-3, 3)] * 2
    ),
    st.builds(lambda a: {"type": "number", "minimum": a}, st.sampled_from([-1, 0.5, 2])),
    st.just({"type": "boolean"}),
    st.builds(lambda a: {"enum": a}, st.lists(st.sampled_from(["a", 1, True, [2]]), min_size=1)),
)
forms = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(
            lambda i, m: {"type": "array", "items": i, "minItems": m}, inner, st.integers(0, 2)
        ),
        st.builds(
            lambda p: {
                "type": "object",
                "properties": p,
                "required": sorted(p)[:1],
                "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
        ),
    ),
    max_leaves=5,
)
values = st.recursive(
    st.one_of(st.booleans(), st.integers(-4, 4), st.sampled_from([0.25, 2.5]), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(forms, notes, values)
def test_a_form_means_what_json_schema_says(form, said, value):
    form = form | said
    assume(not list(faults_of_form(raw(form))))
    fits = jsonschema.Draft202012Validator(form).is_valid(value)
    assert (reasons_against(raw(form), raw(value)) == ()) == fits
