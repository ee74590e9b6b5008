"""The law of every edit: one value is another, and nothing else in the file is."""

import copy
import itertools
import json
import os
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from toka.config_cli import load, parse_path
from toka.config_cli._errors import ConfigError, EditRefused, NotThere
from toka.config_cli._splice import same

ROUNDS = int(os.environ.get("TOKA_CONFIG_ROUNDS", "60"))

KEYS = st.sampled_from(
    ["a", "b", "key", "on", "no", "null", "1", "a b", "x:y", "#", "- q", "ü", "", "<<", "~", "'"]
)
TEXTS = st.one_of(
    st.sampled_from(
        [
            "yes",
            "no",
            "null",
            "1",
            "1.0",
            "0x1f",
            "012",
            "1:30",
            "a: b",
            "a #b",
            "- a",
            "? a",
            "&a",
            "*a",
            "!t",
            "|",
            ">",
            "@x",
            "`",
            "'q'",
            '"q"',
            "%",
        ]
    ),
    st.sampled_from(
        [
            "",
            "a\nb",
            "a\n\nb\n",
            " a",
            "a ",
            "\ttab",
            "a\\b",
            "\u2028",
            "\x85",
            "é",
            "\U0001f600",
            "\x07",
            "=",
            "<<",
            "...",
            "---",
        ]
    ),
    st.text(max_size=8).filter(lambda text: text.isprintable()),
    st.text(st.sampled_from("ab \n#:-'\"{}[],&*"), max_size=12),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


def double(text):
    """Write a text in double quotes as YAML has them: no surrogates, no raw line breaks."""
    plain = json.dumps(text, ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff\ufffe]", lambda m: f"\\u{ord(m[0]):04x}", plain)


@st.composite
def scalar_text(draw, value, *, flow):
    """Write a scalar in one of the ways that YAML has for it."""
    if not isinstance(value, str):
        return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    ways = [double(value)]
    if value.isprintable():
        ways.append("'" + value.replace("'", "''") + "'")
    if re.fullmatch(r"[a-z][a-z ]*[a-z]", value) and value not in ("null", "true", "false"):
        ways.append(value)
    return draw(st.sampled_from(ways)) if not flow else ways[0]


@st.composite
def flow_text(draw, value):
    gap = draw(st.sampled_from(["", " "]))
    if isinstance(value, list) and value:
        comma = draw(st.sampled_from(["", ","]))
        return f"[{gap}{', '.join([draw(flow_text(item)) for item in value])}{comma}{gap}]"
    if isinstance(value, dict) and value:
        parts = [f"{double(key)}: {draw(flow_text(item))}" for key, item in value.items()]
        return f"{{{gap}{(',' + gap).join(parts)}{gap}}}"
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    return draw(scalar_text(value, flow=True))


def noise(draw, indent):
    """Return lines that mean nothing."""
    return draw(
        st.sampled_from([[], [], [], [""], [f"{indent}# note: [x]"], ["# - far left"], ["", ""]])
    )


@st.composite
def block_lines(draw, value, indent):
    if isinstance(value, dict):
        entries = [(f"{draw(scalar_text(key, flow=False))}:", item) for key, item in value.items()]
    else:
        entries = [("-", item) for item in value]
    lines = []
    for head, item in entries:
        lines += noise(draw, indent)
        tail = draw(st.sampled_from(["", "", "  # why: 'so'"]))
        anchor = draw(st.sampled_from(["", "", "", " &ANCHOR"]))
        if isinstance(item, dict | list) and item and draw(st.booleans()):
            deeper = indent + " " * draw(st.integers(1, 3))
            if head == "-" and not anchor and not tail and draw(st.booleans()):
                first, *rest = draw(compact_lines(item, indent))
                lines += [f"{indent}- {first}", *rest]
                continue
            if isinstance(item, list) and head != "-" and draw(st.booleans()):
                deeper = indent
            lines += [f"{indent}{head}{anchor}{tail}", *draw(block_lines(item, deeper))]
        elif isinstance(item, str) and re.fullmatch(r"(?:[a-z]+\n)+", item) and draw(st.booleans()):
            lines += [f"{indent}{head}{anchor} |", *[f"{indent}  {x}" for x in item.split("\n")]]
        elif item is None and draw(st.booleans()):
            lines.append(f"{indent}{head}{anchor}{tail}")
        else:
            lines.append(f"{indent}{head}{anchor} {draw(flow_text(item))}{tail}")
    return lines


def is_content(line, indent):
    return line.startswith(indent) and line[len(indent) :][:1] not in ("#", " ", "")


@st.composite
def compact_lines(draw, item, indent):
    """Write a container that begins behind the dash of the item that it is."""
    inner = f"{indent}  "
    lines = draw(block_lines(item, inner).filter(lambda found: is_content(found[0], inner)))
    return [lines[0][len(inner) :], *lines[1:]]


@st.composite
def yaml_texts(draw):
    value = draw(
        st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)
        | st.lists(VALUES, min_size=1, max_size=4)
    )
    lines = draw(block_lines(value, ""))
    head = draw(st.sampled_from([[], [], ["# head"], ["---"], ["%YAML 1.1", "---"]]))
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    numbers = itertools.count()
    lines = [re.sub("ANCHOR", lambda _: f"a{next(numbers)}", line) for line in lines]
    text = newline.join(head + lines) + draw(st.sampled_from(["", newline, newline * 2]))
    mark = draw(st.sampled_from(["", "", "\ufeff"]))
    return mark + text, value


@st.composite
def json_texts(draw):
    value = draw(st.dictionaries(KEYS, VALUES, max_size=4) | st.lists(VALUES, max_size=4))
    indent = draw(st.sampled_from([None, 1, 2, "\t"]))
    return json.dumps(value, indent=indent, ensure_ascii=draw(st.booleans())), value


def paths_of(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_of(item, (*path, key))


def put(value, path, new):
    """Return what a value must be after a change."""
    *way, last = path
    changed = copy.deepcopy(value)
    holder = changed
    for key in way:
        holder = holder[key]
    if last is None:
        holder.append(new)
    else:
        holder[last] = new
    return changed


def take(value, path):
    *way, last = path
    changed = copy.deepcopy(value)
    holder = changed
    for key in way:
        holder = holder[key]
    del holder[last]
    return changed


@st.composite
def targets(draw, value, *, new):
    """Choose a place: one that is there, or one beside what is there."""
    path = draw(st.sampled_from(list(paths_of(value))))
    below = value
    for key in path:
        below = below[key]
    if new and isinstance(below, dict) and draw(st.booleans()):
        return (*path, draw(st.sampled_from(["fresh", "a.b", "yes", "<<"])))
    if new and isinstance(below, list) and draw(st.booleans()):
        return (*path, None)
    return path


def check_elsewhere(old, new, path, format_):
    """Every line that the changed node has no part in must be there, byte for byte, in order."""
    before = load(old, format_)
    assert before.tree is not None
    found, _ = before.tree.find(path, before.tree.roots[0])
    tokens = before.tree.tokens
    bare = old.removeprefix("\ufeff")
    first = tokens[found.key if found.key >= 0 else found.node].start
    last = tokens[before.tree.stop(found.node) - 1].end
    if found.key < 0:  # the dash of an item may be in a line before it
        first = len(bare[:first].rstrip(" \r\n"))
    fresh = new.removeprefix("\ufeff")
    head = bare[: bare.rfind("\n", 0, first) + 1]
    assert fresh.startswith(head)
    end = bare.find("\n", last)
    tail = bare[end:] if end >= 0 else ""
    assert fresh.endswith(tail)


@pytest.mark.parametrize(("texts", "format_"), [(yaml_texts(), "yaml"), (json_texts(), "json")])
def test_a_generated_text_reads_as_what_it_was_made_from(texts, format_) -> None:
    @settings(max_examples=ROUNDS, deadline=None)
    @given(texts)
    def law(made):
        text, value = made
        document = load(text, format_)
        assert same(document.data(), value)
        if format_ == "yaml":
            texts_only = yaml.load(text.removeprefix("\ufeff"), Loader=yaml.BaseLoader)  # noqa: S506
            assert agrees(texts_only, value)

    law()


def agrees(texts, value):
    """Say whether PyYAML, which knows texts alone here, has the same shape and the same texts."""
    if isinstance(value, dict):
        return list(texts) == list(value) and all(agrees(texts[key], value[key]) for key in value)
    if isinstance(value, list):
        return len(texts) == len(value) and all(map(agrees, texts, value))
    return not isinstance(value, str) or texts == value


@pytest.mark.parametrize(("texts", "format_"), [(yaml_texts(), "yaml"), (json_texts(), "json")])
def test_setting_changes_one_value_and_no_other_byte(texts, format_) -> None:
    refused = 0

    @settings(max_examples=ROUNDS, deadline=None)
    @given(texts, st.data())
    def law(made, data):
        nonlocal refused
        text, value = made
        path = data.draw(targets(value, new=True))
        new = data.draw(VALUES)
        if not path:
            return
        try:
            changed = load(text, format_).set(path, new)
        except EditRefused:
            refused += 1
            return
        assert same(load(changed.text, format_).data(), put(value, path, new))
        assert changed.text.startswith("\ufeff") == text.startswith("\ufeff")
        if "\r\n" in text.rstrip("\r\n"):
            assert "\n" not in changed.text.replace("\r\n", "")
        if load(text, format_).has(path):
            check_elsewhere(text, changed.text, path, format_)

    law()
    assert refused <= ROUNDS // 20


@pytest.mark.parametrize(("texts", "format_"), [(yaml_texts(), "yaml"), (json_texts(), "json")])
def test_deleting_takes_one_value_and_no_other_byte(texts, format_) -> None:
    refused = 0

    @settings(max_examples=ROUNDS, deadline=None)
    @given(texts, st.data())
    def law(made, data):
        nonlocal refused
        text, value = made
        path = data.draw(targets(value, new=False))
        if not path:
            return
        try:
            changed = load(text, format_).delete(path)
        except EditRefused:
            refused += 1
            return
        assert same(load(changed.text, format_).data(), take(value, path))

    law()
    assert refused <= ROUNDS // 20


@settings(max_examples=ROUNDS, deadline=None)
@given(st.text(st.sampled_from("ab:-?#{}[],&*|>!'\" \n\t"), max_size=40), st.data())
def test_any_text_is_read_or_refused_and_an_edit_is_right_or_refused(text, data) -> None:
    try:
        document = load(text, "yaml")
        value = document.data()
        places = [path for path in paths_of(value) if path]
        if not places:
            return
        path = data.draw(st.sampled_from(places))
        changed = document.set(path, "new")
    except ConfigError:
        return
    if "*" not in text and "<<" not in text:
        assert same(load(changed.text, "yaml").data(), put(value, path, "new"))


ANCHORED = "base: &b {x: 1}\nuse: *b\nmore:\n  <<: *b\n  y: 2\n"


def test_an_alias_is_read_replaced_and_not_reached_through() -> None:
    document = load(ANCHORED, "yaml")
    assert document.data(("use", "x")) == 1
    assert document.data(("more", "x")) == 1
    with pytest.raises(EditRefused, match="stands for another value at line 1"):
        document.set(("use", "x"), 2)
    with pytest.raises(EditRefused, match="anchor &b"):
        document.set(("base", "x"), 2).set(("base",), 1)
    assert document.set(("use",), 5).text == ANCHORED.replace("use: *b", "use: 5")


def test_a_merged_key_is_overridden_beside_the_merge_and_not_deleted() -> None:
    document = load(ANCHORED, "yaml")
    assert document.set(("more", "x"), 9).text == ANCHORED + "  x: 9\n"
    with pytest.raises(EditRefused):
        document.delete(("more", "x"))


def test_an_anchor_in_use_is_kept_unless_all_its_aliases_are_to_follow() -> None:
    text = "a: &v 1  # one\nb: *v\n"
    with pytest.raises(EditRefused, match="--follow-aliases"):
        load(text, "yaml").set(("a",), 2)
    changed = load(text, "yaml").set(("a",), 2, follow=True)
    assert changed.text == "a: &v 2  # one\nb: *v\n"
    with pytest.raises(EditRefused):
        load(text, "yaml").delete(("a",))


def test_one_document_of_several_is_changed() -> None:
    text = "a: 1\n---\na: 2\n...\n# end\n---\na: 3\n"
    assert load(text, "yaml", 1).set(("a",), 9).text == text.replace("a: 2", "a: 9")
    with pytest.raises(ConfigError, match="3 documents"):
        load(text, "yaml")


@pytest.mark.parametrize("text", ["", "# only a comment", "---\n", "\n\n"])
def test_an_empty_text_takes_a_first_value(text: str) -> None:
    changed = load(text, "yaml").set(("a", "b"), [1])
    assert changed.text.startswith(text.rstrip("\n"))
    assert changed.data() == {"a": {"b": [1]}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", "twice"),
        ("? [a]\n: 1\n", "no text"),
        ("a: *nowhere\n", "no anchor"),
        ("a: &a [*a]\n", "within what it names"),
        ("a: [1\n", "not YAML"),
        ("a: 'x\u2028y'\n", "line break"),
        ("[" * 200, "deep"),
    ],
)
def test_what_is_not_accepted_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(text, "yaml").data()


def test_a_bomb_of_aliases_ends_early() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    document = load(text, "yaml")
    assert document.set(("b",), 1).text == text + "b: 1\n"
    with pytest.raises(ConfigError, match="Aliases add more than"):
        document.data()


def test_quotes_and_block_scalars_keep_their_style() -> None:
    text = "a: 'x'\nb: \"x\"\nc: x\nd: |\n  x\n  y\ne: >-\n  x\n"
    document = load(text, "yaml")
    for key in "abc":
        document = document.set((key,), "z z")
    document = document.set(("d",), "p\nq\n").set(("e",), "z")
    assert document.text == "a: 'z z'\nb: \"z z\"\nc: z z\nd: |\n  p\n  q\ne: z\n"


def test_an_item_that_is_not_there_is_said_to_be_missing() -> None:
    document = load("list: [1, 2]\n", "yaml")
    with pytest.raises(NotThere, match="2 items"):
        document.set(("list", 5), 1)
    assert document.set(("list", -1), 9).text == "list: [1, 9]\n"
    assert document.set(parse_path("list[+]"), 3).text == "list: [1, 2, 3]\n"
