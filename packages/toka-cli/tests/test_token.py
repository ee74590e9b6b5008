"""`toka token`: minted with the directory's key, and good nowhere else."""

import io
import stat


def test_mints_with_a_key_that_is_the_owners_alone(toka, tmp_path):
    result = toka("token", "mint", "--subject", "me", "--permission", "run:read:*")
    assert result.status == 0
    assert result.out.count(".") == 2
    assert "Made a signing key" in result.err
    key = tmp_path / ".toka" / "keys" / "token.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    again = toka("token", "mint", "--subject", "me", "--permission", "run:read:*")
    assert again.err == ""


def test_inspects_what_it_minted(toka):
    minted = toka(
        "token", "mint", "--subject", "me", "--permission", "fs:read:/a/**", "--ttl", "15m"
    )
    facts = toka("token", "inspect", minted.out.strip(), "--json").json
    assert facts["subject"] == "me"
    assert facts["permissions"] == ["fs:read:/a/**"]
    assert "fs:read:/a/**" in toka("token", "inspect", minted.out.strip()).out


def test_inspects_from_input(toka, monkeypatch):
    minted = toka("token", "mint", "--subject", "me", "--permission", "fs:read:/a")
    monkeypatch.setattr("sys.stdin", io.StringIO(minted.out))
    assert toka("token", "inspect", "-").status == 0


def test_a_token_of_another_directory_is_not_good(toka, tmp_path):
    minted = toka("token", "mint", "--subject", "me", "--permission", "fs:read:/a")
    other = ("--data-dir", tmp_path / "other")
    toka("token", "mint", "--subject", "me", "--permission", "fs:read:/a", *other)
    result = toka("token", "inspect", minted.out.strip(), *other)
    assert result.status == 2
    assert minted.out.strip() not in result.err


def test_inspecting_makes_no_key(toka, tmp_path):
    assert toka("token", "inspect", "x").status == 3
    assert not (tmp_path / ".toka").exists()


def test_bad_claims_are_refused(toka):
    for permission, ttl in (("nonsense", "1h"), ("fs:read:/a", "25h"), ("fs:read:/a", "1ms")):
        result = toka("token", "mint", "--subject", "me", "--permission", permission, "--ttl", ttl)
        assert result.status == 2, (permission, ttl)
        assert result.out == ""


def test_no_secret_is_built_in(toka, tmp_path):
    """The original's binaries fell back to a constant; here two directories never share a key."""
    keys = []
    for name in ("one", "two"):
        toka(
            "token", "mint", "--subject", "me", "--permission", "fs:read:/a",
            "--data-dir", tmp_path / name,
        )  # fmt: skip
        keys.append((tmp_path / name / "keys" / "token.key").read_bytes())
    assert keys[0] != keys[1]
