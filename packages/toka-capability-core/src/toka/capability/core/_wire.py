"""Claims as the JSON of a token, read so strictly that two readers cannot disagree.

Refused, though common readers let them through: a name that occurs twice (RFC 7519, section 4, lets
the last one win, so two readers may see two tokens), numbers with a fraction or an exponent, NaN,
UTF-16, a byte order mark, and members that are not known here: an unknown restriction that is
skipped would be no restriction.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NoReturn

from toka.capability.core._claims import Claims
from toka.capability.core._denial import Denial
from toka.capability.core._errors import InvalidClaimsError, TokenRefusedError
from toka.types import CanonicalEncodingError, canonical

if TYPE_CHECKING:
    from toka.types import Json, JsonObject

_REQUIRED: Final = frozenset({"sub", "vault", "permissions", "iat", "exp", "jti"})
_KNOWN: Final = _REQUIRED | {"nbf", "aud", "untainted", "budget"}


def encode_claims(claims: Claims) -> bytes:
    """Return the canonical JSON of `claims`; what is absent is left out.

    Raises:
        InvalidClaimsError: A text is not in normalisation form C, or an integer exceeds 64 bits.
    """
    wire: dict[str, Json] = {
        "sub": claims.subject,
        "vault": claims.vault,
        "permissions": claims.permissions,
        "iat": claims.issued_at,
        "exp": claims.expires_at,
        "jti": claims.token_id,
    }
    if claims.not_before is not None:
        wire["nbf"] = claims.not_before
    if claims.audience:
        wire["aud"] = claims.audience
    if claims.untainted:
        wire["untainted"] = claims.untainted
    if claims.budget:
        wire["budget"] = dict(claims.budget)
    try:
        return canonical(wire)
    except CanonicalEncodingError as error:
        denial = Denial(code=InvalidClaimsError.default_code, rule=error.message)
        raise InvalidClaimsError.of(denial) from error


def decode_claims(payload: bytes) -> Claims:
    """Read claims; types are checked here, limits and times by `validate_claims`.

    Raises:
        TokenRefusedError: The bytes are not strict JSON, or not the claims of a token.
    """
    wire = strict_json(payload)
    if not isinstance(wire, dict):
        raise _malformed("the claims are not an object")
    members: JsonObject = wire
    if not members.keys() <= _KNOWN:
        raise _malformed("the claims hold an unknown member")
    if not members.keys() >= _REQUIRED:
        raise _malformed(f"the claims lack {', '.join(sorted(_REQUIRED - members.keys()))}")
    return Claims(
        subject=_text(members, "sub"),
        vault=_text(members, "vault"),
        permissions=_texts(members, "permissions"),
        issued_at=_integer(members, "iat"),
        expires_at=_integer(members, "exp"),
        token_id=_text(members, "jti"),
        not_before=_integer(members, "nbf") if "nbf" in members else None,
        audience=_present(members, "aud"),
        untainted=_present(members, "untainted"),
        budget=_budget(members),
    )


def strict_json(data: bytes) -> Json:
    """Decode JSON with each name once, integers only, in plain UTF-8.

    Lone surrogates in escapes and control characters are left to whoever knows what the text is.

    Raises:
        TokenRefusedError: The bytes are anything else.
    """
    try:
        value: Json = _DECODER.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise _malformed("a part is not strict JSON") from error
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is no integer")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_no_number, parse_constant=_no_number
)


def _text(members: JsonObject, name: str) -> str:
    value = members[name]
    if not isinstance(value, str):
        raise _malformed(f"{name} is not text")
    return value


def _integer(members: JsonObject, name: str) -> int:
    value = members[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise _malformed(f"{name} is not an integer")
    return value


def _texts(members: JsonObject, name: str) -> tuple[str, ...]:
    value = members[name]
    if not isinstance(value, list):
        raise _malformed(f"{name} is not a list")
    texts = tuple([item for item in value if isinstance(item, str)])
    if len(texts) != len(value):
        raise _malformed(f"{name} holds something that is not text")
    return texts


def _present(members: JsonObject, name: str) -> tuple[str, ...]:
    """Read a list that says something only if it is not empty, and is left out otherwise."""
    if name not in members:
        return ()
    texts = _texts(members, name)
    # An empty audience read as "no audience" would turn "nobody" into "everybody".
    if not texts:
        raise _malformed(f"{name} is empty")
    return texts


def _budget(members: JsonObject) -> tuple[tuple[str, int], ...]:
    if "budget" not in members:
        return ()
    value = members["budget"]
    if not isinstance(value, dict) or not value:
        raise _malformed("budget is not an object, or empty")
    return tuple([(name, _integer(value, name)) for name in sorted(value)])


def _malformed(rule: str) -> TokenRefusedError:
    return TokenRefusedError.of(Denial(code="capability.malformed", rule=rule))
