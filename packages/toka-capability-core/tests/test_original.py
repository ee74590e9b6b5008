"""The faults of the first Toka's capabilities, by the section of its inventory: 16."""

import attrs
import pytest

from toka.capability.core import Claims, InvalidClaimsError, validate_claims

NOW = 1_795_000_000
CLAIMS = Claims("alice", "default", ("fs:read:/data/**",), NOW, NOW + 900, "t1")


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": ""},
        {"subject": "x" * 257},
        {"vault": " "},
        {"token_id": ""},
        {"permissions": ("",)},
        {"permissions": ("fs:read:/a",) * 101},
        {"expires_at": NOW},
        {"expires_at": NOW + 86_401},
    ],
)
def test_original_16_claims_are_validated(changes):
    validate_claims(CLAIMS, NOW)
    with pytest.raises(InvalidClaimsError):
        validate_claims(attrs.evolve(CLAIMS, **changes), NOW)
