from concurrent.futures import ThreadPoolExecutor

import attrs

from toka.auth import MemoryRevocations, NothingRevoked


def test_nothing_is_revoked_where_there_is_no_revocation(claims):
    check = NothingRevoked()
    assert check.denial(claims) is None
    assert check.epoch == 0


def test_a_token_is_revoked_by_its_id(claims):
    revoked = MemoryRevocations()
    assert revoked.denial(claims) is None
    revoked.revoke_token("t1")
    denial = revoked.denial(claims)
    assert denial is not None
    assert denial.code == "capability.revoked"
    assert revoked.denial(attrs.evolve(claims, token_id="t2")) is None  # noqa: S106 - a name


def test_a_subject_is_revoked_up_to_a_second_in_its_vault(claims):
    revoked = MemoryRevocations()
    revoked.revoke_subject("default", "alice", issued_until=claims.issued_at)
    assert revoked.denial(claims) is not None
    assert revoked.denial(attrs.evolve(claims, issued_at=claims.issued_at + 1)) is None
    assert revoked.denial(attrs.evolve(claims, vault="other")) is None
    assert revoked.denial(attrs.evolve(claims, subject="bob")) is None


def test_an_earlier_cut_off_does_not_bring_tokens_back(claims):
    revoked = MemoryRevocations()
    revoked.revoke_subject("default", "alice", issued_until=claims.issued_at)
    revoked.revoke_subject("default", "alice", issued_until=0)
    assert revoked.denial(claims) is not None


def test_the_epoch_grows_with_every_revocation_from_any_thread():
    revoked = MemoryRevocations()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: revoked.revoke_token(str(n)), range(4_000)))
    assert revoked.epoch == 4_000
