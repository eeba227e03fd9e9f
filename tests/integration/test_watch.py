"""``orch watch`` for real: a process of its own in a pseudo-terminal, against a running app with a feed that a test drives."""

import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from orch.web.server import write_daemon_file
from tests.integration.watch_terminal import BACK_TAB, DOWN, END, UP, task, terminal
from tests.integration.web_world import TOKEN, World, running


def announce(folder: Path, world: World) -> None:
    write_daemon_file(folder, world.url)
    (folder / "token").write_text(TOKEN)


async def test_the_watch_shows_the_snapshot_and_then_every_change(tmp_path: Path) -> None:
    async with running(tmp_path, require_token_for_reading=True) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1")]
        announce(tmp_path, world)
        with terminal(tmp_path) as screen:
            await screen.until(r"live.*SHOP-1 +Title of SHOP-1 +analysis +analysis +1\.5k↓ +\$0\.50.*SHOP-1: the analyst works")
            world.feed.say({"type": "change", "seq": 2, "tasks": [task("SHOP-1", stage="review", status="code_review")]})
            await screen.until(r"SHOP-1.*review +code_review")
            screen.press("q")
            assert await screen.ended() == 0
            assert screen.is_clean()


async def test_a_hostile_title_cannot_steer_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\x9b31mevil\r\n\x1b[?1049lshell> rm\u202e"
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1", title=evil, waiting=evil), task("SHOP-2")]
        announce(tmp_path, world)
        with terminal(tmp_path) as screen:
            shown = await screen.until(r"evil.*SHOP-2")
            assert [line for line in shown.splitlines() if "evil" in line and "SHOP-1" in line], "one line, in its place"
            for part in ("owned\x07", "\x1b[2J\x1b]0", "\x9b", "\u202e", "\x1b[?1049lshell"):
                assert part not in screen.raw


async def test_the_watch_comes_back_when_the_daemon_restarts_on_another_port(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1")]
        announce(tmp_path, world)
        with ExitStack() as stack:
            screen = stack.enter_context(terminal(tmp_path))
            await screen.until("live.*SHOP-1")
            keep = stack.pop_all()
    with keep:
        await screen.until("connection lost, trying again|no daemon")
        async with running(tmp_path) as second:
            second.feed.snapshot["tasks"] = [task("SHOP-7")]
            announce(tmp_path, second)
            await screen.until("live.*SHOP-7")
            screen.press("\x03")
            assert await screen.ended() == 0
            assert screen.is_clean()


async def test_the_watch_asks_for_a_snapshot_again_when_a_change_is_missing(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1")]
        announce(tmp_path, world)
        with terminal(tmp_path) as screen:
            await screen.until("live.*SHOP-1")
            world.feed.snapshot = {"type": "snapshot", "seq": 9, "tasks": [task("SHOP-9")]}
            world.feed.say({"type": "change", "seq": 5, "tasks": [task("SHOP-5")]})
            shown = await screen.until("live.*SHOP-9")
            assert "SHOP-5" not in shown


async def test_the_watch_waits_for_a_daemon_that_is_not_there_yet(tmp_path: Path) -> None:
    with terminal(tmp_path) as screen:
        await screen.until("no daemon runs with the data directory")
        async with running(tmp_path) as world:
            world.feed.snapshot["tasks"] = [task("SHOP-1")]
            announce(tmp_path, world)
            await screen.until("live.*SHOP-1")
            screen.process.send_signal(signal.SIGINT)
            assert await screen.ended() == 0
            assert screen.is_clean()


# ------------------------------------------------------------------------------------------------ keys and sizes


async def test_keys_move_through_the_screens(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1", waiting="why one"), task("SHOP-2", waiting="why two"), task("SHOP-3")]
        announce(tmp_path, world)
        with terminal(tmp_path) as screen:
            await screen.until(r"SHOP-1: why one.*\[agents\]")
            screen.press("j")
            await screen.until("SHOP-2: why two")
            screen.press(UP)
            await screen.until("SHOP-1: why one")
            screen.press(DOWN + DOWN + DOWN)
            await screen.until("SHOP-3: the analyst works")
            screen.press("g\t")
            await screen.until(r"SHOP-1: why one.*\[train\]")
            screen.press(BACK_TAB + BACK_TAB)
            await screen.until(r"\[spend\]")
            screen.press("?")
            await screen.until("Nothing here changes anything")
            screen.press("q\r")
            await screen.until(r"SHOP-1 .*Runs, newest first")
            screen.press("l")
            await screen.until(r"line 999.*following")
            screen.press(UP)
            await screen.until(lambda shown: "following" not in shown and "line 998" in shown)
            screen.press(END)
            await screen.until("following")
            screen.press("\x1b")
            await screen.until(r"\[spend\]")
            screen.press("q")
            assert await screen.ended() == 0
            assert screen.is_clean()


async def test_what_is_no_key_does_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1"), task("SHOP-2", waiting="why two")]
        announce(tmp_path, world)
        with terminal(tmp_path) as screen:
            await screen.until("live.*SHOP-1")
            screen.press("\x1b[<0;10;10M\x1b[200~x\x1b[201~\x1bOP\xe9j")
            await screen.until("SHOP-2: why two")


async def test_the_watch_follows_the_terminals_size(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = [task(f"SHOP-{number}") for number in range(1, 60)]
        announce(tmp_path, world)
        with terminal(tmp_path) as screen:
            shown = await screen.until("live.*SHOP-1 .*q quit")
            assert "the analyst works" not in shown.splitlines()[1]
            screen.resize(140, 50)
            await screen.until(
                lambda text: text.splitlines()[1].find("the analyst works") > 0 and "q quit" in text.splitlines()[-1]
            )
            screen.resize(40, 10)
            await screen.until(lambda text: "SHOP-1 " in text and "q quit" in text.splitlines()[-1])
            screen.resize(40, 3)
            await screen.until(lambda text: "SHOP-1 " in text)
            screen.press("j")
            await screen.until(lambda text: "SHOP-2 " in text)
            screen.resize(10, 3)
            screen.resize(80, 24)
            await screen.until("SHOP-2: the analyst works.*q quit")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_leaves_the_terminal_as_it_was(tmp_path: Path, number: signal.Signals) -> None:
    async with running(tmp_path) as world:
        announce(tmp_path, world)
        with terminal(tmp_path) as screen:
            await screen.until("live.*No tasks yet")
            assert not screen.is_clean()
            screen.process.send_signal(number)
            assert await screen.ended() == 128 + number
            assert screen.is_clean()


async def test_an_exception_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = 5
        announce(tmp_path, world)
        with terminal(tmp_path) as screen:
            assert await screen.ended() == 1
            assert screen.is_clean()
            assert "Error" in screen.raw.rpartition("\x1b[?1049l")[2]


# ------------------------------------------------------------------------------------------------ one frame, one log


async def test_once_prints_one_frame_and_exits(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1")]
        announce(tmp_path, world)
        with terminal(tmp_path, "watch", "--once") as screen:
            await screen.until(r"live.*SHOP-1.*in all")
            assert await screen.ended() == 0


async def test_once_without_a_daemon_fails_with_one_line(tmp_path: Path) -> None:
    write_daemon_file(tmp_path, "http://127.0.0.1:9")
    with terminal(tmp_path, "watch", "--once", size=(200, 24)) as screen:
        await screen.until(r"orch: no daemon answers at http://127\.0\.0\.1:9: start one with")
        assert await screen.ended() == 1


async def test_once_with_a_wrong_token_says_that_it_was_refused(tmp_path: Path) -> None:
    async with running(tmp_path, require_token_for_reading=True) as world:
        announce(tmp_path, world)
        (tmp_path / "token").write_text("some-other-token-altogether")
        with terminal(tmp_path, "watch", "--once") as screen:
            await screen.until(r"orch: the daemon at .* refused the live view \(401\)")
            assert await screen.ended() == 1


@pytest.mark.parametrize("words", [("watch", "SHOP-1"), ("log", "SHOP-1", "-f"), ("log", "SHOP-1")])
async def test_the_log_of_the_newest_run_is_printed_to_its_end(tmp_path: Path, words: tuple[str, ...]) -> None:
    async with running(tmp_path) as world:
        announce(tmp_path, world)
        with terminal(tmp_path, *words) as screen:
            assert await screen.ended() == 0
            assert "line 998\r\nline 999\r\n" in screen.raw
            assert "\x1b[?1049h" not in screen.raw, "it takes no screen"


async def test_the_log_of_a_task_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        announce(tmp_path, world)
        with terminal(tmp_path, "log", "SHOP-99", "-f") as screen:
            await screen.until("orch: There is no task 'SHOP-99'")
            assert await screen.ended() == 1
