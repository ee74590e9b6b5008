import pytest

from toka.key_rotation import InvalidPolicyError, RotationPolicy


def test_the_defaults_fit_together():
    policy = RotationPolicy()
    assert policy.grace == policy.longest_token + policy.skew + policy.cache


@pytest.mark.parametrize(
    "bad",
    [
        {"interval": 360},
        {"interval": 0},
        {"skew": -1},
        {"cache": 1.5},
        {"grace": True},
        {"longest_token": 0},
        {"jitter": -1},
    ],
)
def test_times_that_make_no_sense_are_refused(bad):
    with pytest.raises(InvalidPolicyError):
        RotationPolicy(**bad)
