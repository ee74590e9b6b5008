"""An OpenAPI document as plain data, with the references inside of it.

What is here has been written by somebody else: its size is looked at before it is parsed, its depth
before anything recurses into it, and a reference leads to another place of the same document or
nowhere. Nothing is ever fetched on a document's behalf.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote

import attrs
import msgspec

from toka.tools.openapi._errors import InvalidDocumentError, UnsupportedOperationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.types import Json, JsonObject

MAX_DOCUMENT_BYTES: Final = 16 << 20
"""Of a document in JSON. The largest public ones have 10 MB."""

MAX_YAML_BYTES: Final = 4 << 20
"""Of a document in YAML, which takes a hundred times as long to read."""

MAX_DEPTH: Final = 100
_MAX_REFERENCES: Final = 16

_VERSION = re.compile(r"3\.[01](?:\.[0-9]+)?(?:-.*)?")


@attrs.frozen(eq=False)
class Document:
    """A parsed document."""

    root: JsonObject = attrs.field(repr=False)
    source: str

    @property
    def is_30(self) -> bool:
        """Whether its schemas are in the dialect of OpenAPI 3.0."""
        return str(self.root["openapi"]).startswith("3.0")

    def at(self, pointer: str) -> Json:
        """Return what a local reference such as `#/components/schemas/Pet` names.

        Raises:
            UnsupportedOperationError: It leads out of the document, or nowhere.
        """
        if not pointer.startswith("#/"):
            raise UnsupportedOperationError(
                f"the reference {pointer[:120]!r} leads out of the document",
                hint="Put what it names into the document; nothing is fetched for it.",
            )
        value: Json = self.root
        for part in unquote(pointer[2:]).split("/"):
            value = _child(value, part.replace("~1", "/").replace("~0", "~"), pointer)
        return value

    def resolved(self, value: Json, what: str) -> JsonObject:
        """Return an object of the document, or what it refers to.

        Raises:
            UnsupportedOperationError: It is no object, or its references lead in a circle.
        """
        for _ in range(_MAX_REFERENCES):
            if not isinstance(value, dict):
                raise UnsupportedOperationError(f"{what} is not an object")
            reference = value.get("$ref")
            if reference is None:
                return value
            value = self.at(str(reference))
        raise UnsupportedOperationError(f"the references of {what} lead in a circle")


def _child(value: Json, part: str, pointer: str) -> Json:
    found: Json
    if isinstance(value, dict) and part in value:
        found = value[part]
        return found
    is_place = part.isascii() and part.isdecimal() and len(part) < 10  # noqa: PLR2004 - more is no place
    if isinstance(value, list) and is_place and int(part) < len(value):
        found = value[int(part)]
        return found
    raise UnsupportedOperationError(f"the reference {pointer[:120]!r} leads nowhere")


def read_document(data: bytes, source: str) -> Document:
    """Read JSON or YAML.

    Raises:
        InvalidDocumentError: It is too large, neither of the two, or not OpenAPI 3.0 or 3.1.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InvalidDocumentError(f"{source} is longer than {MAX_DOCUMENT_BYTES} bytes.")
    value = _parse(data, source)
    _check_depth(value, source)
    is_swagger = isinstance(value, dict) and "swagger" in value
    if not isinstance(value, dict) or "openapi" not in value:
        hint = "Convert it to OpenAPI 3 first." if is_swagger else ""
        raise InvalidDocumentError(f"{source} is not an OpenAPI document.", hint=hint)
    root = cast("dict[str, Json]", value)
    if not _VERSION.fullmatch(str(root["openapi"])):
        raise InvalidDocumentError(
            f"{source} is written for OpenAPI {str(root['openapi'])[:20]!r}.",
            hint="Versions 3.0 and 3.1 are read.",
        )
    return Document(root, source)


def _parse(data: bytes, source: str) -> object:
    if data.lstrip()[:1] == b"{":
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise InvalidDocumentError(f"{source} is not JSON: {error}.") from error
    if len(data) > MAX_YAML_BYTES:
        raise InvalidDocumentError(
            f"{source} is longer than {MAX_YAML_BYTES} bytes of YAML.",
            hint="Convert it to JSON.",
        )
    try:
        from toka.tools.manifests._yaml import YamlError, load_yaml  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InvalidDocumentError(
            f"{source} is not JSON, and nothing that reads YAML is installed.",
            hint="Install toka-tools[manifests].",
        ) from error
    try:
        return _with_text_keys(load_yaml(data, core=True), source)
    except YamlError as error:
        raise InvalidDocumentError(f"{source}{error}") from error


def _with_text_keys(value: object, source: str) -> object:
    """Return what YAML held, with the keys that JSON has: `200:` is a number there."""
    if isinstance(value, list):
        return [_with_text_keys(item, source) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    found: dict[str, object] = {}
    for key, item in cast("dict[object, object]", value).items():
        if not isinstance(key, (str, int)) or str(key) in found:
            raise InvalidDocumentError(
                f"{source} has the key {str(key)[:80]!r} twice, or as no text."
            )
        found[str(key)] = _with_text_keys(item, source)
    return found


def _check_depth(value: object, source: str) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise InvalidDocumentError(f"{source} is nested deeper than {MAX_DEPTH} levels.")


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()
