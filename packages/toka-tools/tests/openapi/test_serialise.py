"""The examples of the OpenAPI specification (3.1.1, "Style Examples"), and what they leave open."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.tools import InvalidArgumentsError
from toka.tools.openapi._serialise import Parameter, header_value, path_segment, query_pairs

ARRAY = ["blue", "black", "brown"]
OBJECT = {"R": 100, "G": 200, "B": 150}


def color(place, style: str, *, explode: bool, **how) -> Parameter:
    return Parameter("color", place, "color", style, explode, **how)


@pytest.mark.parametrize(
    ("style", "explode", "string", "array", "mapping"),
    [
        ("matrix", False, ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"),
        (
            "matrix",
            True,
            ";color=blue",
            ";color=blue;color=black;color=brown",
            ";R=100;G=200;B=150",
        ),
        ("label", False, ".blue", ".blue,black,brown", ".R,100,G,200,B,150"),
        ("label", True, ".blue", ".blue.black.brown", ".R=100.G=200.B=150"),
        ("simple", False, "blue", "blue,black,brown", "R,100,G,200,B,150"),
        ("simple", True, "blue", "blue,black,brown", "R=100,G=200,B=150"),
    ],
)
def test_paths(style: str, explode: bool, string: str, array: str, mapping: str) -> None:
    parameter = color("path", style, explode=explode)
    assert path_segment(parameter, "blue") == string
    assert path_segment(parameter, ARRAY) == array
    assert path_segment(parameter, OBJECT) == mapping


@pytest.mark.parametrize(
    ("style", "explode", "value", "query"),
    [
        ("form", False, "blue", "color=blue"),
        ("form", False, "", "color="),
        ("form", False, ARRAY, "color=blue,black,brown"),
        ("form", False, OBJECT, "color=R,100,G,200,B,150"),
        ("form", True, ARRAY, "color=blue&color=black&color=brown"),
        ("form", True, OBJECT, "R=100&G=200&B=150"),
        ("spaceDelimited", False, ARRAY, "color=blue%20black%20brown"),
        ("spaceDelimited", False, OBJECT, "color=R%20100%20G%20200%20B%20150"),
        ("pipeDelimited", False, ARRAY, "color=blue%7Cblack%7Cbrown"),
        ("pipeDelimited", False, OBJECT, "color=R%7C100%7CG%7C200%7CB%7C150"),
        ("deepObject", True, OBJECT, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        ("deepObject", True, {"a": {"b": [1, 2]}}, "color%5Ba%5D%5Bb%5D=1&color%5Ba%5D%5Bb%5D=2"),
        ("form", True, None, ""),
        ("form", True, [True, None, 1.5], "color=true&color=1.5"),
        ("form", False, ["a,b", "c"], "color=a%2Cb,c"),
    ],
)
def test_queries(style: str, explode: bool, value, query: str) -> None:
    assert "&".join(query_pairs(color("query", style, explode=explode), value)) == query


@pytest.mark.parametrize(
    ("explode", "value", "text"),
    [
        (False, "blue", "blue"),
        (False, ARRAY, "blue,black,brown"),
        (False, OBJECT, "R,100,G,200,B,150"),
        (True, OBJECT, "R=100,G=200,B=150"),
    ],
)
def test_headers(explode: bool, value, text: str) -> None:
    assert header_value(color("header", "simple", explode=explode), value) == text


def test_content_is_sent_as_json() -> None:
    parameter = color("query", "form", explode=True, as_json=True)
    assert query_pairs(parameter, {"a": [1]}) == ["color=%7B%22a%22%3A%5B1%5D%7D"]
    assert path_segment(color("path", "simple", explode=False, as_json=True), [1]) == "%5B1%5D"


def test_reserved_signs_stay_where_allowed_but_never_end_a_pair() -> None:
    parameter = color("query", "form", explode=True, allow_reserved=True)
    assert query_pairs(parameter, "a/b?c=d&e#f") == ["color=a/b?c%3Dd%26e%23f"]


@pytest.mark.parametrize("item", ["a,b", "a;b", "a=b"])
def test_an_item_with_a_separator_is_refused_where_there_is_no_escape(item: str) -> None:
    for explode in (True, False):
        with pytest.raises(InvalidArgumentsError):
            path_segment(color("path", "simple", explode=explode), [item, "x"])
        with pytest.raises(InvalidArgumentsError):
            header_value(color("header", "simple", explode=explode), {"k": item})


@pytest.mark.parametrize("value", ["", [], {}])
def test_nothing_cannot_stand_in_a_path(value) -> None:
    with pytest.raises(InvalidArgumentsError, match="must not be empty"):
        path_segment(color("path", "simple", explode=False), value)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, st.lists(TEXT), st.dictionaries(TEXT.filter(bool), TEXT))
def test_a_server_reads_from_a_query_what_was_written(text, array, mapping) -> None:
    parameter = color("query", "form", explode=True)

    def read(value) -> list[tuple[str, str]]:
        pairs = "&".join(query_pairs(parameter, value))
        return parse_qsl(pairs, keep_blank_values=True, max_num_fields=None)

    assert read(text) == [("color", text)]
    assert read(array) == [("color", item) for item in array]
    assert read(mapping) == list(mapping.items())
