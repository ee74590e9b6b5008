"""JSON bytes of arguments and results: sorted, so that equal values have equal bytes.

Floats and text of any form are allowed: the bytes travel as `msgspec.Raw` and are hashed and kept
as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import msgspec

from toka.agent_runtime._errors import ResultInvalid
from toka.types import MAX_STEP_RESULT_BYTES

if TYPE_CHECKING:
    from toka.types import Json

_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder()


def encode(value: object, what: str) -> msgspec.Raw:
    """Return `value` as JSON bytes.

    Raises:
        ResultInvalid: It is not JSON, or larger than anything that is recorded.

    """
    try:
        data = _ENCODER.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ResultInvalid(f"{what} is not JSON: {error}.") from error
    if len(data) > MAX_STEP_RESULT_BYTES:
        raise ResultInvalid(
            f"{what} has {len(data)} bytes; at most {MAX_STEP_RESULT_BYTES} are recorded.",
            hint="Write it to a file, and return its path.",
        )
    return msgspec.Raw(data)


def decode(data: msgspec.Raw) -> Json:
    """Return the value of recorded JSON bytes."""
    return cast("Json", _DECODER.decode(data))
