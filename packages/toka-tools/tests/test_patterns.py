from __future__ import annotations

import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toka.tools._schema import compile_schema


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 50_000 + "b"),
        ({"pattern": r"\s+$"}, " " * 50_000 + "b"),
        ({"patternProperties": {"^(a+)+$": {}}}, {"a" * 50_000 + "b": 1}),
        (
            {"patternProperties": {"^(a|a)*$": {}}, "additionalProperties": False},
            {"a" * 50_000 + "b": 1},
        ),
    ],
)
def test_no_pattern_takes_more_than_linear_time(schema: Any, value: Any) -> None:
    started = time.process_time()
    list(compile_schema(schema, "t").iter_errors(value))
    assert time.process_time() - started < 1


def test_what_re2_does_not_know_is_left_to_python() -> None:
    validator = compile_schema({"pattern": "^(?=.*[0-9]).+$"}, "t")
    assert validator.is_valid("a1")
    assert not validator.is_valid("aa")


def test_half_a_character_matches_nothing() -> None:
    assert not compile_schema({"pattern": "."}, "t").is_valid("\ud800")


NAMES = st.sampled_from(["a", "ab", "b", "c1", ""])
SCHEMAS: Any = st.fixed_dictionaries(
    {},
    optional={
        "properties": st.dictionaries(NAMES, st.sampled_from([{"type": "integer"}, True])),
        "patternProperties": st.dictionaries(
            st.sampled_from(["a", "^b$", "[0-9]"]), st.sampled_from([{"type": "string"}, False])
        ),
        "additionalProperties": st.sampled_from([True, False, {"type": "null"}]),
        "pattern": st.sampled_from(["^a", "b$"]),
    },
)


@given(SCHEMAS, st.one_of(NAMES, st.dictionaries(NAMES, st.sampled_from([1, "x", None]))))
def test_it_finds_what_jsonschema_finds(schema: Any, value: Any) -> None:
    def found(validator: Any) -> list[tuple[str, str]]:
        return sorted(
            (fault.json_path, str(fault.validator)) for fault in validator.iter_errors(value)
        )

    assert found(compile_schema(schema, "t")) == found(jsonschema.Draft202012Validator(schema))
