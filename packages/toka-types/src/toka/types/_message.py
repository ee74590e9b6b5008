"""Messages: an operation, who asks for it, and how often it counts."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from toka.types._errors import InvalidValueError
from toka.types._limits import MAX_IDEMPOTENCY_KEY_BYTES, MAX_TOKEN_BYTES
from toka.types._operations import Extension, Operation

AnyOperation: TypeAlias = Operation | Extension


@attrs.frozen
class Message:
    """What callers submit to the runtime.

    The same idempotency key by the same subject returns the same answer and does nothing again.
    """

    token: str = attrs.field(repr=False)
    operation: AnyOperation
    idempotency_key: str = ""

    def __attrs_post_init__(self) -> None:
        if not self.token or len(self.token) > MAX_TOKEN_BYTES:
            raise InvalidValueError(f"A token has 1 to {MAX_TOKEN_BYTES} bytes.")
        if len(self.idempotency_key) > MAX_IDEMPOTENCY_KEY_BYTES:
            raise InvalidValueError(
                f"An idempotency key has at most {MAX_IDEMPOTENCY_KEY_BYTES} characters."
            )
