r"""The text of a delegated token, and the chain of signatures that holds it together.

    token = header "." payload *( "~" hop ) "~" last signature        all parts in base64url
    hop   = {"iss": delegator, "sub": delegatee, "jti": nonce, caveats...}

    signature 0 = the root token's own signature, made by its issuer
    signature n = HMAC-SHA-256(key = signature n-1, "toka.hop.1\0" hop n)

The construction is that of macaroons (Birgisson et al., NDSS 2014, section III). A token shows only
the *last* signature. With it anybody can add a hop, and nobody can take one away: what came before
is the key of a hash whose value he holds. So nothing can be dropped, reordered, cut off at the end
or moved to another root. The root's signature is the one secret of the whole chain: **whoever has
it has the root token**, so it is in no token that was handed on; only the delegator, who holds the
root token, and the issuer's key can make it.

What this does not give: proof of *who* added a hop. Names in hops are held against one another, but
whoever holds a token may act as its subject; `OnlyHolder` binds it to a key where that matters.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import (
    MAX_HOPS,
    Denial,
    TokenRefusedError,
    decode_base64url,
    encode_base64url,
)
from toka.types import MAX_TOKEN_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

_DOMAIN: Final = b"toka.hop.1\0"
_TAIL_CHARACTERS: Final = 43
"""A signature of 32 bytes in base64url."""
_ID_BYTES: Final = 16


@attrs.frozen
class ChainText:
    """The parts of a presented token; nobody has vouched for them yet."""

    signed: str
    """Header and payload of the root."""
    hops: tuple[str, ...]
    tail: str = attrs.field(repr=False)
    """The last signature, as it stands in the text."""

    @classmethod
    def parse(cls, token: object) -> ChainText:
        """Take a token apart.

        Raises:
            TokenRefusedError: It has not the shape of a root token, or of one with hops.
        """
        if not isinstance(token, str) or len(token) > MAX_TOKEN_BYTES:
            raise malformed(f"the token is no text of up to {MAX_TOKEN_BYTES} bytes")
        # Nothing but the shape is judged here: the signatures cover every character before the
        # last part, that part is compared as text, and decoding knows the alphabet.
        signed, *hops, tail = token.split("~") if "~" in token else token.rpartition(".")[::2]
        if not token.isascii() or signed.count(".") != 1 or len(tail) != _TAIL_CHARACTERS:
            raise malformed("the token is not a root of base64url with hops behind it")
        if len(hops) > MAX_HOPS:
            raise too_deep(f"the token has {len(hops)} hops, over {MAX_HOPS}")
        return cls(signed, tuple(hops), tail)

    def followed_by(self, hop: str) -> str:
        """Return the text of this token with one more hop.

        Raises:
            TokenRefusedError: The last signature is not canonical base64url.
        """
        try:
            key = decode_base64url(self.tail)
        except ValueError as error:
            raise malformed("the last signature is not canonical base64url") from error
        tail = encode_base64url(signature_of(hop, key))
        return "~".join([self.signed, *self.hops, hop, tail])

    def is_held_by(self, root_signature: bytes) -> bool:
        """Say whether the last signature follows from that of the root, through every hop."""
        signature = root_signature
        for hop in self.hops:
            signature = signature_of(hop, signature)
        # Compared as text: of all spellings of the last character only the canonical one is equal.
        return hmac.compare_digest(encode_base64url(signature), self.tail)


def signature_of(hop: str, key: bytes) -> bytes:
    """Return the signature behind a hop, whose key is the one before it."""
    return hmac.digest(key, _DOMAIN + hop.encode("ascii"), "sha256")


def hop_ids(signed: str, hops: Iterable[str]) -> list[str]:
    """Name each hop by a hash of all that leads to it.

    Made of what everybody sees, so that any holder can name a hop, to have it revoked; and a hop
    cannot be given the name of another.
    """
    digest = hashlib.sha256(_DOMAIN + signed.encode("ascii")).digest()
    ids: list[str] = []
    for hop in hops:
        digest = hashlib.sha256(digest + hop.encode("ascii")).digest()
        ids.append(encode_base64url(digest[:_ID_BYTES]))
    return ids


def malformed(rule: str) -> TokenRefusedError:
    """Make the refusal of a token that cannot be read."""
    return TokenRefusedError.of(Denial(code="capability.malformed", rule=rule))


def too_deep(rule: str) -> TokenRefusedError:
    """Make the refusal of a token that was handed on too often."""
    return TokenRefusedError.of(Denial(code="capability.too_deep", rule=rule))
