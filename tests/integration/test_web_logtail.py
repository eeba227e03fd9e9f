"""Following a log file: what becomes of its bytes, and of a file that grows, is cut, is replaced, or is not there."""

import os
from pathlib import Path

import pytest

from orch import logs
from orch.web import logtail
from orch.web.logtail import CHUNK, LAG_MAX, LINE_MAX, REPLAY, Follower, LogText, Reading, strip_terminal

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38;5;12mblue\x1b[K", "blue"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;1\x1b\\after", "after"),
        ("\x9b31mC1\x9b0m", "C1"),
        ("\x1b(Bplain\x1b7", "plain"),
        ("10 %\r50 %\r100 %\r", "100 %"),
        ("a\x00b\x08c\td", "abc\td"),
        ("abc\u202etxt.exe\u2066", "abctxt.exe"),
        ("unended \x1b[", "unended "),
        ("grüß 👋", "grüß 👋"),
    ],
)
def test_a_line_is_what_a_terminal_would_leave_of_it(raw: str, seen: str) -> None:
    assert strip_terminal(raw) == seen


def test_a_character_that_comes_in_two_parts_is_whole() -> None:
    data, text = "ein grüß 👋\nund\n".encode(), LogText()
    assert [line for byte in data for line in text.feed(bytes([byte]))] == ["ein grüß 👋", "und"]


def test_bytes_that_are_no_text_cost_no_line() -> None:
    assert LogText().feed(b"\xff\xfe\n\x80ok\n") == ["\ufffd\ufffd", "\ufffdok"]


def test_the_last_line_waits_for_its_end() -> None:
    text = LogText()
    assert text.feed(b"one\ntw") == ["one"]
    assert text.feed(b"o") == []
    assert text.finish() == ["two"]
    assert text.finish() == []


def test_what_begins_in_the_middle_of_a_line_begins_with_the_next() -> None:
    assert LogText(partial=True).feed(b"rest of it\nwhole\n") == ["whole"]


def test_a_line_without_end_costs_its_bound_alone() -> None:
    text = LogText()
    for _ in range(100):
        assert text.feed(b"x" * 100_000) == []
    [line] = text.feed(b"\nnext")
    assert len(line) < LINE_MAX + 200
    assert line.endswith("bytes of this line are left out]")
    assert text.finish() == ["next"]


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_needles", ())
    logs.register_secret(SECRET)


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_secret_is_struck_out_wherever_the_bytes_are_parted(cut: int) -> None:
    data, text = f"token={SECRET} \x1b[1m{SECRET[:4]}\x1b[0m{SECRET[4:]}\n".encode(), LogText()
    lines = text.feed(data[:cut]) + text.feed(data[cut:])
    assert lines == [f"token={logs.STRUCK} {logs.STRUCK}"]


@pytest.mark.usefixtures("secret")
def test_the_cut_of_a_long_line_leaves_no_part_of_a_secret() -> None:
    for ahead in range(len(SECRET) + 1):
        text = LogText()
        text.feed(b"x" * (LINE_MAX + logtail.MARGIN - ahead) + SECRET.encode() + b"y" * 10_000)
        [line] = text.feed(b"\n")
        assert SECRET[:4] not in line


# ------------------------------------------------------------------------------------------------ files


def all_of(follower: Follower) -> list[Reading]:
    """Look until nothing more comes."""
    readings = []
    while (reading := follower.look()).data or reading.anew:
        readings.append(reading)
    return readings


def test_what_is_appended_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    follower = Follower(path)
    assert follower.look() == Reading()
    path.write_bytes(b"one\n")
    assert follower.look() == Reading(data=b"one\n", first=True)
    assert follower.look() == Reading()
    with path.open("ab") as file:
        file.write(b"two\n")
    assert follower.look() == Reading(data=b"two\n")
    follower.close()


def test_of_a_long_log_the_end_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * (3 * REPLAY))
    first, *rest = all_of(follower := Follower(path))
    assert (first.skipped, first.first, first.broken) == (2 * REPLAY, True, True)
    assert sum(len(reading.data) for reading in [first, *rest]) == REPLAY
    follower.close()


def test_whoever_is_far_behind_is_taken_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"begin\n")
    follower = Follower(path)
    follower.look()
    with path.open("ab") as file:
        file.write(b"y" * (LAG_MAX + 1))
    reading = follower.look()
    assert (reading.skipped, reading.first) == (LAG_MAX + 1 - REPLAY, False)
    assert len(reading.data) <= CHUNK
    follower.close()


def test_a_log_that_was_cut_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    follower = Follower(path)
    follower.look()
    path.write_bytes(b"new\n")
    assert follower.look() == Reading(data=b"new\n", anew=True)
    follower.close()


def test_a_log_that_was_replaced_is_read_to_its_end_first(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old\n")
    follower = Follower(path)
    follower.look()
    with path.open("ab") as file:
        file.write(b"last of it\n")
    path.rename(tmp_path / "log.1")
    path.write_bytes(b"new\n")
    assert follower.look() == Reading(data=b"last of it\n")
    assert follower.look() == Reading(data=b"new\n", anew=True)
    follower.close()


def test_a_look_that_comes_after_the_end_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    before = len(os.listdir("/proc/self/fd"))
    follower = Follower(path)
    follower.close()
    assert follower.look() == Reading()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_no_plain_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("nothing for a page")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "."):
        assert Follower(tmp_path / name).look() == Reading()
