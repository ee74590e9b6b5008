"""JSON to tokens: the standard library says whether it is JSON, the walk here where things are."""

from __future__ import annotations

import json
import re

from toka.config_cli._refuse import refuse
from toka.config_cli._tree import END, FLOW, LIST, MAP, MAX_DEPTH, PLAIN, QUOTED, Token, Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s\[\]{}",:]+')


def parse_json(text: str) -> Tree:
    """Return the document in `text`.

    Raises:
        SyntaxInvalid: It is not JSON.
    """
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        hint = "Look at quotes, commas and brackets here."
        refuse("SyntaxInvalid", f"{where}: this is not JSON: {error.msg}.", hint)
    except (RecursionError, ValueError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        refuse("SyntaxInvalid", f"This is not JSON that is accepted: {what}.")
    return _tree(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _tree(text: str) -> Tree:
    found: list[Token] = []
    opened: list[int] = []
    stops: dict[int, int] = {}
    for match in _TOKEN.finditer(text):
        word, start, end = match[0], match.start(), match.end()
        first = word[0]
        if first == '"':
            found.append(Token(QUOTED, json.loads(word), "", "", '"', start, end))
        elif first in "{[":
            opened.append(len(found))
            if len(opened) > MAX_DEPTH:
                line = text.count("\n", 0, start) + 1
                what = f"line {line}: containers are nested more than {MAX_DEPTH} deep."
                refuse("SyntaxInvalid", what)
            found.append(Token(MAP if first == "{" else LIST, "", "", "", FLOW, start, end))
        elif first in "}]":
            found.append(Token(END, "", "", "", "", start, end))
            stops[opened.pop()] = len(found)
        else:
            found.append(Token(PLAIN, word, "", "", "", start, end))
    return Tree(text, found, [0], {}, stops, yaml=False)
