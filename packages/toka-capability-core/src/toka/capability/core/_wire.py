"""Claims as the JSON of a token, read so strictly that two readers cannot disagree.

Refused, though common readers let them through: a name that occurs twice (RFC 7519, section 4, lets
the last one win, so two readers may see two tokens), numbers with a fraction or an exponent, NaN,
UTF-16, a byte order mark, and members that are not known here: an unknown restriction that is
skipped would be no restriction.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NoReturn

from toka.capability.core._caveat_wire import (
    encode_rate,
    encode_windows,
    read_budget,
    read_extensions,
    read_holder,
    read_rate,
    read_windows,
)
from toka.capability.core._claims import Claims
from toka.capability.core._denial import Denial
from toka.capability.core._errors import InvalidClaimsError
from toka.capability.core._members import integer, malformed, some_texts, text, texts
from toka.types import CanonicalEncodingError, canonical

if TYPE_CHECKING:
    from toka.types import Json, JsonObject

_REQUIRED: Final = frozenset({"sub", "vault", "permissions", "iat", "exp", "jti"})
_RESTRICTIONS: Final = frozenset({"windows", "depth", "rate", "cnf", "ext"})
_KNOWN: Final = _REQUIRED | {"nbf", "aud", "untainted", "budget"} | _RESTRICTIONS


def encode_claims(claims: Claims) -> bytes:
    """Return the canonical JSON of `claims`; what is absent is left out.

    Raises:
        InvalidClaimsError: A text is not in normalisation form C, an integer exceeds 64 bits, two
            extensions have one name, or the claims are those of a chain, which no single token
            says.
    """
    if claims.chain:
        raise _unencodable("the claims are those of a chain")
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
    wire |= _encode_restrictions(claims)
    try:
        return canonical(wire)
    except CanonicalEncodingError as error:
        raise _unencodable(error.message) from error


def _encode_restrictions(claims: Claims) -> dict[str, Json]:
    wire: dict[str, Json] = {}
    if claims.windows:
        wire["windows"] = encode_windows(claims.windows)
    if claims.depth is not None:
        wire["depth"] = claims.depth
    if claims.rate is not None:
        wire["rate"] = encode_rate(claims.rate)
    if claims.holder is not None:
        wire["cnf"] = {"jkt": claims.holder}
    if claims.extensions:
        named = {extension.name: extension.data for extension in claims.extensions}
        if len(named) != len(claims.extensions):
            raise _unencodable("two extensions have one name, and one of them would be lost")
        wire["ext"] = named
    return wire


def decode_claims(payload: bytes, *, key_id: str | None = None) -> Claims:
    """Read claims; types are checked here, limits and times by `validate_claims`.

    Args:
        payload: The JSON.
        key_id: The name of the key that signed it, to be kept with the claims.

    Raises:
        TokenRefusedError: The bytes are not strict JSON, or not the claims of a token.
    """
    wire = strict_json(payload)
    if not isinstance(wire, dict):
        raise malformed("the claims are not an object")
    members: JsonObject = wire
    if not members.keys() <= _KNOWN:
        raise malformed("the claims hold an unknown member")
    if not members.keys() >= _REQUIRED:
        raise malformed(f"the claims lack {', '.join(sorted(_REQUIRED - members.keys()))}")
    return Claims(
        subject=text(members, "sub"),
        vault=text(members, "vault"),
        permissions=texts(members, "permissions"),
        issued_at=integer(members, "iat"),
        expires_at=integer(members, "exp"),
        token_id=text(members, "jti"),
        not_before=integer(members, "nbf") if "nbf" in members else None,
        audience=some_texts(members, "aud") if "aud" in members else (),
        untainted=some_texts(members, "untainted") if "untainted" in members else (),
        budget=read_budget(members) if "budget" in members else (),
        windows=read_windows(members) if "windows" in members else (),
        depth=integer(members, "depth") if "depth" in members else None,
        rate=read_rate(members) if "rate" in members else None,
        holder=read_holder(members) if "cnf" in members else None,
        extensions=read_extensions(members) if "ext" in members else (),
        key_id=key_id,
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
        raise malformed("a part is not strict JSON") from error
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


def _unencodable(rule: str) -> InvalidClaimsError:
    return InvalidClaimsError.of(Denial(code=InvalidClaimsError.default_code, rule=rule))
