import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.config_cli import load
from toka.config_cli._errors import CannotCarry, ConfigError, EditRefused, NotThere
from toka.config_cli._toml import write_toml
from toka.config_cli._toml_places import toml_places

TEXT = """\
# head
title = 'literal'   # one
"quoted key" = 1

[server]  # two
host = "h"
ports = [
    80,  # http
    443,
]
point = { x = 1, y = 2 } # three

[[agents]]
name = "a"
[agents.limits]
cpu = 0.5

[[agents]]
name = "b" # four
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (("title",), "other", "'literal'", "'other'"),
        (("quoted key",), 2, 'key" = 1', 'key" = 2'),
        (("server", "host"), "g", '"h"', '"g"'),
        (("server", "point", "x"), 5, "x = 1", "x = 5"),
        (("agents", 1, "name"), "c", '"b" #', '"c" #'),
        (("agents", 0, "limits", "cpu"), 0.7, "0.5", "0.7"),
    ],
)
def test_one_value_changes_and_nothing_else(path, value, old, new) -> None:
    assert load(TEXT, "toml").set(path, value).text == TEXT.replace(old, new)


def test_line_breaks_and_the_mark_at_the_start_are_kept() -> None:
    text = "\ufeff" + TEXT.replace("\n", "\r\n")
    changed = load(text, "toml").set(("server", "new"), 1).text
    assert changed.startswith("\ufeff")
    assert "\n" not in changed.replace("\r\n", "")


def test_what_is_not_there_is_made_or_refused() -> None:
    document = load(TEXT, "toml")
    assert document.set(("new", "deep"), [1]).data(("new", "deep")) == [1]
    assert document.set(("server", "ports", None), 8080).data(("server", "ports", 2)) == 8080
    with pytest.raises(NotThere):
        document.set(("server", "ports", 9), 1)
    with pytest.raises(EditRefused):
        document.set(("title", "below"), 1)
    with pytest.raises(CannotCarry):
        document.set(("title",), {"a": [None]})
    with pytest.raises(NotThere):
        document.delete(("server", "none"))


def test_the_place_of_every_key_is_known() -> None:
    places = toml_places(TEXT)
    lines = {path: TEXT.count("\n", 0, offset) + 1 for path, offset in places.items()}
    assert lines["title",] == 2
    assert lines["quoted key",] == 3
    assert lines["server", "point"] == 11
    assert lines["agents", 0, "limits", "cpu"] == 16
    assert lines["agents", 1, "name"] == 19


KEYS = st.sampled_from(["a", "b", "a b", "", "ü", '"'])
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=6) | st.floats(-9, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=3), KEYS, VALUES)
def test_a_change_is_the_one_that_was_asked_for_or_refused(value, key, new) -> None:
    try:
        text = write_toml(value)
        changed = load(text, "toml").set((key,), new)
    except ConfigError:
        return
    assert tomllib.loads(changed.text) == {**tomllib.loads(text), key: new}


@pytest.mark.parametrize("text", ["a = ", "a = 1\na = 2\n", "[a\n", "a." * 300 + "a = 1"])
def test_what_is_not_toml_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        load(text, "toml")


WRITTEN = st.sampled_from(
    [
        "1_000", "0xff", "1.50", "true", "'lit'", '"a # b"', "[1, 2,]", "{ x = 1 }",
        "1979-05-27", '"""x"""',
    ]
)  # fmt: skip
NAMES = ("alpha", '"b c"', "d-e")
NEW = st.sampled_from([5, "text", "a'b", True, [1, "x"], 2.5, "line\nline", ""])


@st.composite
def toml_lines(draw):
    """Return the lines of a document, and by path where its keys stand."""
    lines, places = [], {}
    tables = draw(st.lists(st.sampled_from(["", "t", 't."u v"', "[a]"]), min_size=1, unique=True))
    for table in sorted(tables):
        at = ()
        if table == "[a]":
            at = ("a", 0)
            lines.append("[[a]]  # each")
        elif table:
            at = tuple(part.strip('"') for part in table.split("."))
            lines.append(f"[{table}]")
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
            lines += draw(st.sampled_from([[], [""], ["# note: a = 1"], ["  # indented", ""]]))
            equals = draw(st.sampled_from([" = ", "=", "  =  "]))
            places[(*at, name.strip('"'))] = len(lines)
            lines.append(
                f"{name}{equals}{draw(WRITTEN)}{draw(st.sampled_from(['', ' # why', '  #x']))}"
            )
    return lines, places


@settings(max_examples=150, deadline=None)
@given(toml_lines(), NEW, st.sampled_from(["\n", "\r\n"]), st.data())
def test_every_other_line_stays_byte_for_byte(made, new, newline, data) -> None:
    lines, places = made
    if not places:
        return
    text = newline.join([*lines, ""])
    path = data.draw(st.sampled_from(sorted(places)))
    place = places[path]
    changed = load(text, "toml").set(path, new)
    after = changed.text.split(newline)
    assert after[:place] == lines[:place]
    assert after[len(after) - (len(lines) - place) :] == [*lines[place + 1 :], ""]
    assert after[place].startswith(lines[place].partition("=")[0])
    assert changed.data(path) == new
    gone = load(text, "toml").delete(path)
    assert gone.text.split(newline) == [*lines[:place], *lines[place + 1 :], ""]
    added = load(text, "toml").set((*path[:-1], "fresh"), new).text.split(newline)
    left = iter(added)
    assert all(line in left for line in lines if line)
