"""The one encoding of values wherever bytes are hashed, signed or compared.

JSON in the form of RFC 8785 (sorted keys, no white space, shortest escapes), with two rules more:
integers only, because two programs rarely agree on a float's digits, and text in Unicode
normalisation form C, because two programs rarely agree on an accent's code points. What came from
outside and must stay as it came (a tool's result) travels inside as `msgspec.Raw`: JSON whose bytes
are kept and hashed as they are, never encoded again.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

import attrs
import msgspec
from blake3 import blake3

from toka.types._errors import CanonicalEncodingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")

DIGEST_SIZE: Final = 32


def digest(data: bytes) -> bytes:
    """Return the BLAKE3 digest of `data`, 32 bytes."""
    return blake3(data).digest()


def canonical(value: object) -> bytes:
    """Encode builtin values (None, bool, int, str, list, tuple, dict with text keys).

    Raises:
        CanonicalEncodingError: `value` holds a float, text that is not NFC, a key that is not
            text, an integer outside 64 bits, or a value of another type.

    """
    try:
        _check(value, "value")
        return _ENCODER.encode(value)
    except (UnicodeError, RecursionError) as error:
        raise CanonicalEncodingError(f"The value has no canonical encoding: {error}.") from error


def _check(value: object, where: str) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        _check_integer(value, where)
    elif isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, dict):
        _check_items(cast("dict[object, object]", value).items(), where)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(cast("Sequence[object]", value)):
            _check(item, f"{where}[{index}]")
    else:
        raise CanonicalEncodingError(
            f"{where} is a {type(value).__name__}, which has no canonical encoding.",
            hint="Use integers instead of floats, and builtin types only.",
        )


def _check_integer(number: int, where: str) -> None:
    if not -(1 << 63) <= number < 1 << 63:
        raise CanonicalEncodingError(f"{where} is an integer that does not fit 64 bits.")


def _check_items(items: Iterable[tuple[object, object]], where: str) -> None:
    for key, item in items:
        if not isinstance(key, str):
            raise CanonicalEncodingError(f"{where} has the key {key!r}, which is not text.")
        _check_text(key, where)
        _check(item, f"{where}.{key}")


def _check_text(text: str, where: str) -> None:
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        raise CanonicalEncodingError(
            f"{where} is text that is not in Unicode normalisation form C.",
            hint="Normalise it, or carry it as raw JSON if it must stay as it is.",
        )


_ENCODER: Final = msgspec.json.Encoder(order="sorted")


class Codec(Generic[T]):
    """Encodes and decodes one attrs class canonically; refuses a class that could hold a float.

    Checking the class once, here, keeps `encode` free of a walk over every value.
    """

    __slots__ = ("_decoder", "_encoder", "_type")

    def __init__(self, kind: type[T]) -> None:
        _refuse_floats(msgspec.inspect.type_info(kind), kind.__name__, set())
        self._type = kind
        self._encoder = _ENCODER
        self._decoder = msgspec.json.Decoder(kind)

    def encode(self, value: T) -> bytes:
        """Return the canonical bytes of `value`.

        Raises:
            CanonicalEncodingError: A text is not NFC or not Unicode, or a field holds another type.

        """
        try:
            data = self._encoder.encode(value)
        except (UnicodeError, TypeError) as error:
            raise CanonicalEncodingError(
                f"A {self._type.__name__} has no canonical encoding: {error}."
            ) from error
        # Normalisation changes no ASCII text, so only other text is looked at piece by piece.
        if not data.isascii():
            _check_texts(value, self._type.__name__)
        return data

    def decode(self, data: bytes) -> T:
        """Return the value that `data` encodes.

        Raises:
            CanonicalEncodingError: `data` is not an encoding of this class.

        """
        try:
            return self._decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise CanonicalEncodingError(
                f"The bytes are not a {self._type.__name__}: {error}."
            ) from error


def _check_texts(value: object, where: str) -> None:
    if isinstance(value, str):
        _check_text(value, where)
    elif attrs.has(type(value)):
        for name in attrs.fields_dict(cast("type[attrs.AttrsInstance]", type(value))):
            _check_texts(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, (list, tuple, frozenset)):
        for item in cast("Iterable[object]", value):
            _check_texts(item, where)
    elif isinstance(value, dict):
        for key, item in cast("dict[object, object]", value).items():
            _check_texts(key, where)
            _check_texts(item, f"{where}.{key}")


def _refuse_floats(info: object, where: str, seen: set[int]) -> None:
    if isinstance(info, (msgspec.inspect.FloatType, msgspec.inspect.AnyType)):
        raise CanonicalEncodingError(f"{where} may hold a float, which has no canonical encoding.")
    if id(info) in seen or not isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field):
        return
    seen.add(id(info))
    for name in info.__struct_fields__:
        part: object = getattr(info, name)
        for each in cast("tuple[object, ...]", part if isinstance(part, tuple) else (part,)):
            label = f"{where}.{each.name}" if isinstance(each, msgspec.inspect.Field) else where
            _refuse_floats(each, label, seen)
