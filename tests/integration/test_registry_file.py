"""Adding to a registry file: what was there stays as it was, and what comes of it is a registry."""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orch.config import judge_table, load
from orch.config.registry_file import add_to_file
from orch.core.errors import ConfigError

ENTRY: dict[str, Any] = {"name": "till", "prefix": "TILL", "repo": "/srv/till", "test_command": ["make", "test"]}
KEPT = """\
# our daemon; ask Ada before changing anything
port = 9000            # behind the proxy

grace_s = { review = 7 }

[[projects]]           # the first one
name   = 'shop'        # odd spacing is ours
prefix = "SHOP"
repo = "/srv/shop"
test_command = [
    "make",            # not ninja
    "test",
]
roles.developer = { agent = "claude" }
# the end
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orch.toml"


def test_a_file_with_comments_keeps_every_line_in_its_order(file: Path) -> None:
    file.write_text(KEPT)
    assert add_to_file(file, {"public_url": "https://orch.example"}, ENTRY)
    text = file.read_text()
    line = 'public_url = "https://orch.example"\n'
    assert text.replace(line, "", 1).startswith(KEPT)
    assert text.index(line) < text.index("[[projects]]")
    loaded = load(file, {})
    assert [project.name for project in loaded.projects] == ["shop", "till"]
    assert loaded.settings.public_url == "https://orch.example"


def test_a_value_that_is_there_is_never_changed(file: Path) -> None:
    file.write_text(KEPT)
    assert not add_to_file(file, {"port": 1}, None)
    assert file.read_text() == KEPT


@pytest.mark.parametrize(
    "text",
    [
        'projects = [\n  { name = "shop", prefix = "SHOP", repo = "/srv/shop" },  # inline\n]\n',
        '[[projects]]\nname = "shop"\nprefix = "SHOP"\nrepo = "/srv/shop"\n[projects.roles.developer]\nagent = "claude"',
        'port = 1\r\n[[projects]]\r\nname = "shop"\r\nprefix = "SHOP"\r\nrepo = "/srv/shop"\r\n',
        '[grace_s]\nreview = 3\n\n[[projects]]\nname = "shop"\nprefix = "SHOP"\nrepo = "/srv/shop"\n\n# all of it\n',
        "",
    ],
    ids=["inline", "tables", "crlf", "a table before", "empty"],
)
def test_every_way_to_write_projects_is_added_to(file: Path, text: str) -> None:
    file.write_bytes(text.encode())
    before = tomllib.loads(text)
    add_to_file(file, {"plane_workspace": "acme"}, ENTRY)
    after = tomllib.loads(file.read_bytes().decode())
    assert after == {**before, "plane_workspace": "acme", "projects": [*before.get("projects", []), ENTRY]}


def test_a_new_file_says_where_secrets_belong_and_holds_none(file: Path) -> None:
    add_to_file(file.parent / "config" / "orch.toml", {}, ENTRY)
    text = (file.parent / "config" / "orch.toml").read_text()
    assert "Secrets never stand here" in text
    with pytest.raises(AssertionError, match="secret"):
        add_to_file(file, {"plane_token": "plane_api_1"}, ENTRY)
    assert not file.exists()


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"name": "shop"}, "already that of"), ({"prefix": "no prefix"}, "prefix"), ({"board": "plane"}, "board_project")],
)
def test_what_would_be_no_registry_is_refused_and_the_file_stays(file: Path, changed: dict[str, str], says: str) -> None:
    file.write_text(KEPT)
    with pytest.raises(ConfigError, match=says):
        add_to_file(file, {}, {**ENTRY, **changed})
    assert file.read_text() == KEPT


def test_a_broken_file_is_not_touched(file: Path) -> None:
    file.write_text("port = = 1\n")
    with pytest.raises(ConfigError, match="not TOML"):
        add_to_file(file, {}, ENTRY)
    assert file.read_text() == "port = = 1\n"
    assert [each.name for each in file.parent.iterdir()] == ["orch.toml"]


def test_mode_and_link_are_kept(file: Path) -> None:
    real = file.parent / "real.toml"
    real.write_text(KEPT)
    real.chmod(0o600)
    file.symlink_to(real)
    add_to_file(file, {}, ENTRY)
    assert file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert "TILL" in real.read_text()


def test_a_file_that_somebody_changes_meanwhile_is_theirs(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(KEPT)

    def slow(table: dict[str, Any], where: str) -> Any:
        file.write_text(KEPT + "# and a line more\n")
        return judge_table(table, where)

    monkeypatch.setattr("orch.config.registry_file.judge_table", slow)
    with pytest.raises(ConfigError, match="somebody else"):
        add_to_file(file, {}, ENTRY)
    assert file.read_text() == KEPT + "# and a line more\n"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(KEPT)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ConfigError, match="No space left"):
        add_to_file(file, {}, ENTRY)
    assert (file.read_text(), [each.name for each in file.parent.iterdir()]) == (KEPT, ["orch.toml"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(word=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30))
def test_whatever_a_repository_or_a_person_calls_things_is_read_back_as_it_was(file: Path, word: str) -> None:
    file.unlink(missing_ok=True)
    entry = {**ENTRY, "test_command": ["sh", "-c", word], "statuses": {"stop": word}}
    add_to_file(file, {"plane_workspace": word}, entry)
    assert tomllib.loads(file.read_bytes().decode())["projects"] == [entry]
    assert tomllib.loads(file.read_bytes().decode())["plane_workspace"] == word
