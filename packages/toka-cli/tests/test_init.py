"""`toka init`: what it writes runs at once."""


def test_writes_a_specification_that_runs(toka, tmp_path):
    assert toka("init").status == 0
    result = toka("run", "agent.yaml")
    assert result.status == 0, result.err
    assert result.err == ""
    (made,) = (tmp_path / ".toka" / "runs").rglob("count.txt")
    assert made.read_text().endswith(" entries\n")


def test_makes_the_directory(toka, tmp_path):
    assert toka("init", "new/agents").status == 0
    assert (tmp_path / "new" / "agents" / "agent.yaml").exists()


def test_overwrites_nothing(toka, tmp_path):
    (tmp_path / "agent.yaml").write_text("mine")
    result = toka("init")
    assert result.status == 2
    assert "was left as it is" in result.err
    assert (tmp_path / "agent.yaml").read_text() == "mine"


def test_a_file_where_the_directory_should_be(toka, tmp_path):
    (tmp_path / "file").write_text("")
    assert toka("init", tmp_path / "file" / "inside").status == 2
