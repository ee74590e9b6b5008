"""Checking a chain: its signatures first, then each hop, then whether it holds now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import (
    MAX_HOPS,
    NO_IMPLICATIONS,
    ActionHierarchy,
    Denial,
    Permission,
    Request,
    TokenRefusedError,
)
from toka.capability.delegation._chain import ChainText
from toka.capability.delegation._derivation import DEFAULT_MAX_DEPTH, DelegationRules, derive
from toka.capability.delegation._explanation import Explanation, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.capability.core import Claims, RootValidator, TokenValidator
    from toka.capability.delegation._link import Link


class DelegatedValidator:
    """Validates root tokens, and whatever was made of them by handing on."""

    __slots__ = ("_root", "_rules")

    def __init__(
        self,
        root: RootValidator,
        *,
        max_depth: int = DEFAULT_MAX_DEPTH,
        hierarchy: ActionHierarchy = NO_IMPLICATIONS,
    ) -> None:
        """Prepare to validate.

        Args:
            root: Validates the tokens that chains begin with. It has the keys, the time, the
                audience and the extensions, for the root and for all that follows from it.
            max_depth: Most hops behind a root.
            hierarchy: Which actions imply which, when a hop is held against the one before and in
                what the claims grant.

        Raises:
            ValueError: The depth is out of range.
        """
        if not 0 <= max_depth <= MAX_HOPS:
            raise ValueError(f"A chain has 0 to {MAX_HOPS} hops.")
        self._root = root
        self._rules = DelegationRules(max_depth, hierarchy)

    def validate(self, token: str) -> Claims:
        """Return what the last holder of `token` may do, if it is genuine and valid now.

        Raises:
            TokenRefusedError: It is not; `denial.hop` says which hop refused, 0 is the root.
        """
        text = ChainText.parse(token)
        if not text.hops:
            return self._with_hierarchy(self._root.validate(token))
        claims = self._verified_root(text)
        for _, derived in derive(claims, text, self._rules):
            claims = derived
        self._judge(claims)
        return claims

    def explain(self, token: str, request: str, *, tainted: bool = False) -> Explanation:
        """Return how `token` comes to allow `request`, or which hop and caveat are in the way.

        Args:
            token: A root token or one that was handed on.
            request: What is wished, as `domain:action:resource`.
            tainted: Whether something from outside has influenced the subject.

        Raises:
            PermissionSyntaxError: `request` is not a request.
        """
        wish = Request.parse(request)
        steps: list[Step] = []
        try:
            for link, claims in self._derivation(token):
                if steps:
                    self._judge(claims)
                steps.append(_step(link, claims, wish, steps, tainted=tainted))
        except TokenRefusedError as error:
            return Explanation(request, tuple(steps), error.denial)
        denials = [step.denial for step in steps if step.denial is not None]
        return Explanation(request, tuple(steps), denials[0] if denials else None)

    def _derivation(self, token: str) -> Iterator[tuple[Link | None, Claims]]:
        text = ChainText.parse(token)
        root = self._verified_root(text)
        yield None, root
        yield from derive(root, text, self._rules)

    def _verified_root(self, text: ChainText) -> Claims:
        try:
            if not text.is_held_by(self._root.unsafe_signature(text.signed)):
                raise TokenRefusedError.of(_BAD_SIGNATURE)
            return self._with_hierarchy(self._root.unsafe_claims(text.signed))
        except TokenRefusedError as error:
            raise TokenRefusedError.of(attrs.evolve(error.denial, hop=0)) from error

    def _with_hierarchy(self, root: Claims) -> Claims:
        # What a hop was held against, its parent must grant to whoever asks it.
        if self._rules.hierarchy is NO_IMPLICATIONS:
            return root
        return attrs.evolve(root, hierarchy=self._rules.hierarchy)

    def _judge(self, claims: Claims) -> None:
        try:
            self._root.judge(claims)
        except TokenRefusedError as error:
            denial = attrs.evolve(error.denial, hop=len(claims.chain) - 1)
            raise TokenRefusedError.of(denial) from error


def _step(
    link: Link | None, claims: Claims, wish: Request, steps: list[Step], *, tainted: bool
) -> Step:
    granted = claims.granted.covers(wish)
    if granted is None and not tainted:
        granted = claims.guarded.covers(wish)
    return Step(
        number=len(steps),
        token_id=claims.token_id,
        delegator=None if link is None else link.delegator,
        subject=claims.subject,
        caveats=() if link is None else link.caveats,
        permission=None if granted is None else granted.text,
        denial=None if granted is not None else _not_granted(claims, wish, len(steps), tainted),
    )


def _not_granted(claims: Claims, wish: Request, number: int, tainted: bool) -> Denial:
    guard: Permission | None = claims.guarded.covers(wish) if tainted else None
    if guard is not None:
        rule = f"the subject is tainted, and {guard} holds only while it is not"
        return Denial("capability.tainted", rule, wish.text, number)
    return Denial("capability.not_granted", "no permission covers it", wish.text, number)


_BAD_SIGNATURE: Final = Denial(
    code="capability.bad_signature",
    rule="the last signature does not follow from the root's through all hops",
)

if TYPE_CHECKING:
    _implements: type[TokenValidator] = DelegatedValidator
