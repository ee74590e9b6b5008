"""A key that does not slip out."""

from __future__ import annotations

from typing import Final, NoReturn, final

from toka.llm_gateway._errors import ConfigurationInvalid

_STRUCK: Final = "[key]"


@final
class ApiKey:
    """Holds a provider's key; no representation, comparison, copy or pickle shows it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Take a key, without the white space around it.

        Raises:
            ConfigurationInvalid: It is empty, or no header can carry it.

        """
        value = value.strip()
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            raise ConfigurationInvalid(
                "The API key is empty or holds a character that no header can carry.",
                hint="Copy it again, without quotes or line breaks.",
            )
        self._value: Final = value

    def reveal(self) -> str:
        """Return the key, for the header of a request and nothing else."""
        return self._value

    def strike_out(self, text: str) -> str:
        """Return `text` without the key."""
        return text.replace(self._value, _STRUCK)

    def __repr__(self) -> str:
        return "ApiKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("An API key is not to be pickled or copied.")
