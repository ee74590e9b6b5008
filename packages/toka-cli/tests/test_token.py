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


def mint(toka, *permissions):
    options = [part for each in permissions for part in ("--permission", each)]
    return toka("token", "mint", "--subject", "me", *options).out.strip()


def narrowed(toka, token, *options):
    return toka("token", "narrow", token, *options).out.strip()


def test_narrows_without_any_key(toka, tmp_path):
    token = mint(toka, "fs:read:/a/**")
    (tmp_path / ".toka" / "keys" / "token.key").rename(tmp_path / "away")
    for_bob = narrowed(
        toka, token, "--to", "bob", "--permission", "fs:read:/a/b", "--ttl", "10m",
        "--budget", "money=5", "--budget", "calls=1", "--depth", "0",
    )  # fmt: skip
    (tmp_path / "away").rename(tmp_path / ".toka" / "keys" / "token.key")
    facts = toka("token", "inspect", for_bob, "--json").json
    assert (facts["subject"], facts["permissions"]) == ("bob", ["fs:read:/a/b"])
    assert facts["budget"] == ["calls 1", "money 5"]
    assert [line.split()[0] for line in facts["handed on"]] == ["me", "bob"]
    assert toka("token", "narrow", for_bob, "--to", "eve").status != 0


def test_nothing_can_be_widened(toka):
    token = mint(toka, "fs:read:/a/**")
    result = toka("token", "narrow", token, "--to", "bob", "--permission", "fs:read:/**")
    assert (result.out, result.status != 0) == ("", True)
    for budget in ("money", "money=-1", "gold=1"):
        assert toka("token", "narrow", token, "--to", "bob", "--budget", budget).status != 0


def test_explains_the_whole_derivation(toka):
    token = mint(toka, "fs:read:/a/**", "proc:run:git")
    for_bob = narrowed(toka, token, "--to", "bob", "--permission", "fs:read:/a/b")
    allowed = toka("token", "explain", for_bob, "fs:read:/a/b")
    assert allowed.status == 0
    assert "issued to me" in allowed.out
    assert "me to bob" in allowed.out
    assert "granted by fs:read:/a/**" in allowed.out
    refused = toka("token", "explain", for_bob, "proc:run:git")
    assert refused.status == 5
    assert 'only permissions: ["fs:read:/a/b"]' in refused.out
    assert "refused at hop 1" in refused.out
    data = toka("token", "explain", for_bob, "proc:run:git", "--json").json
    assert (data["allowed"], data["denial"]["hop"], len(data["steps"])) == (False, 1, 2)


def test_explains_a_token_that_is_not_good(toka):
    token = mint(toka, "fs:read:/a/**")
    result = toka("token", "explain", token[:-2] + "AA", "fs:read:/a/b")
    assert result.status == 5
    assert "refused" in result.out


def test_revoking_says_what_is_gone(toka):
    token = mint(toka, "fs:read:/a/**")
    result = toka("token", "revoke", token)
    assert result.status == 0
    assert toka("token", "inspect", token, "--json").json["token_id"] in result.out
    assert toka("token", "revoke", "x.y.z").status == 2
