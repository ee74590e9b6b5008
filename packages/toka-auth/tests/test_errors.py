import pickle

from toka.auth import AuthenticationError, AuthError
from toka.types import TokaError


def test_every_authentication_error_is_the_same():
    left, right = AuthenticationError(), AuthenticationError()
    assert (left.code, str(left), left.details) == (right.code, str(right), right.details)
    assert left.code == "auth.denied"
    assert left.details == {}


def test_an_authentication_error_survives_pickling():
    copy = pickle.loads(pickle.dumps(AuthenticationError()))  # noqa: S301 - our own bytes
    assert str(copy) == str(AuthenticationError())
    assert isinstance(copy, AuthError)
    assert isinstance(copy, TokaError)
