"""A configuration text of any format: values by path, and a new text for each change."""

from __future__ import annotations

from typing import NamedTuple

from toka.config_cli._key_path import show_path
from toka.config_cli._refuse import refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from toka.config_cli._key_path import KeyPath, Segment
    from toka.config_cli._tree import Tree
    from toka.config_cli._value import Value

FORMATS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}
"""By the end of a file's name."""
_MARK = "\ufeff"


class Document(NamedTuple):
    """A text and what it says; a change returns another document."""

    text: str
    format: str
    tree: Tree | None
    """Of YAML and JSON; TOML has none."""
    table: dict[str, Value] | None
    """Of TOML."""
    number: int = 0
    """Of a YAML stream of several documents, the one that is meant."""

    def data(self, path: KeyPath = ()) -> Value:
        """Return the value at a path.

        Raises:
            NotThere: There is none.
            SyntaxInvalid: A key is there twice, or an alias cannot be resolved.
        """
        if self.tree is None:
            return _walk(self.table, path)
        if self.number >= len(self.tree.roots):
            return _walk({}, path)
        found, rest = self.tree.find(path, self.tree.roots[self.number])
        if rest:
            refuse_missing(path)
        return self.tree.data(found.node)

    def has(self, path: KeyPath) -> bool:
        """Say whether there is a value at a path."""
        if self.tree is None:
            return _reaches(self.table, path)
        if self.number >= len(self.tree.roots):
            return False
        return not self.tree.find(path, self.tree.roots[self.number])[1]

    def set(self, path: KeyPath, value: Value, *, follow: bool = False) -> Document:
        """Return the document with a value put in, or replaced, and all else as it was.

        Raises:
            EditRefused: It cannot be done without changing something else.
            NotThere: An item of a list is not there.
            CannotCarry: The format cannot hold the value.
        """
        if self.tree is None:
            from toka.config_cli._toml import set_toml  # noqa: PLC0415 - one of three formats

            return load(_marked(self.text, set_toml(_bare(self.text), path, value)), self.format)
        from toka.config_cli._splice import set_value  # noqa: PLC0415 - reading needs it not

        tree = set_value(
            self.tree, _parser(self.format), path, value, document=self.number, follow=follow
        )
        return self._replace(text=_marked(self.text, tree.text), tree=tree)

    def delete(self, path: KeyPath) -> Document:
        """Return the document without the value at a path, and all else as it was.

        Raises:
            EditRefused: It cannot be done without changing something else.
            NotThere: There is none.
        """
        if self.tree is None:
            from toka.config_cli._toml import delete_toml  # noqa: PLC0415 - one of three formats

            return load(_marked(self.text, delete_toml(_bare(self.text), path)), self.format)
        from toka.config_cli._splice import delete_value  # noqa: PLC0415 - reading needs it not

        tree = delete_value(self.tree, _parser(self.format), path, document=self.number)
        return self._replace(text=_marked(self.text, tree.text), tree=tree)


def load(text: str, format: str, number: int | None = None) -> Document:  # noqa: A002 - the word
    """Return the document in a text.

    Args:
        text: With or without a byte order mark.
        format: yaml, json or toml.
        number: Which of several documents of a YAML stream; None refuses several.

    Raises:
        SyntaxInvalid: It is not of that format.
        UsageError: There are several documents and none is chosen, or not that many.
    """
    bare = _bare(text)
    if format == "toml":
        from toka.config_cli._toml import parse_toml  # noqa: PLC0415 - one of three formats

        return Document(text, format, None, parse_toml(bare))
    tree = _parser(format)(bare)
    count = len(tree.roots)
    if number is None and count > 1:
        refuse("UsageError", f"There are {count} documents.", "Choose one: --document 0 and up.")
    if number and number >= count:
        refuse("UsageError", f"There is no document {number}; there are {count}, from 0 up.")
    return Document(text, format, tree, None, number or 0)


def _parser(format: str) -> Callable[[str], Tree]:  # noqa: A002 - the word
    if format == "json":
        from toka.config_cli._json_tokens import parse_json  # noqa: PLC0415 - one of three formats

        return parse_json
    from toka.config_cli._yaml_tokens import parse_yaml  # noqa: PLC0415 - imports PyYAML, 50 ms

    return parse_yaml


def refuse_missing(path: KeyPath) -> NoReturn:
    """Say that there is nothing at a path.

    Raises:
        NotThere: Always.
    """
    refuse("NotThere", f"There is no {show_path(path)}.", "`toka-config list FILE` shows the keys.")


def _walk(value: Value, path: KeyPath) -> Value:
    for segment in path:
        below = _below(value, segment)
        if below is None:
            refuse_missing(path)
        (value,) = below
    return value


def _reaches(value: Value, path: KeyPath) -> bool:
    for segment in path:
        below = _below(value, segment)
        if below is None:
            return False
        (value,) = below
    return True


def _below(value: Value, segment: Segment) -> tuple[Value] | None:
    """Return what is under a key or an index, or None where nothing is."""
    if isinstance(value, dict) and isinstance(segment, str):
        return (value[segment],) if segment in value else None
    if isinstance(value, list) and isinstance(segment, int):
        return (value[segment],) if -len(value) <= segment < len(value) else None
    return None


def _bare(text: str) -> str:
    return text.removeprefix(_MARK)


def _marked(old: str, new: str) -> str:
    return _MARK + new if old.startswith(_MARK) else new
