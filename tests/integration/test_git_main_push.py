"""The push of the default branch is held to the candidate's base: by a hook of ours, where that cannot run by a look before."""

import os
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from orch.adapters.git import Git, GitMirror
from orch.adapters.git.pre_push import REFUSAL, Onto, install
from orch.adapters.git.push import Answer, push_ref
from orch.adapters.git.together import side_by_side
from orch.core.errors import PermanentError, TransientError
from orch.core.ids import ProjectName, Sha, TaskRow
from orch.core.model import Candidate, LandStyle
from orch.ports.git import CandidateMember, PushResult
from tests.gitrepo import make_bare, make_repo, remote_of


class Bench:
    """A server whose main has two commits, and a candidate built on the second."""

    def __init__(self, folder: Path) -> None:
        self.person = make_repo(folder / "person")
        self.first = self.person.tip()
        self.person.commit({"second": "2"})
        self.person.switch("feature/SHOP-1-x", "main")
        self.head = self.person.commit({"x": "1"})
        self.remote = make_bare(folder / "remote.git", self.person)
        remote = remote_of(self.remote)
        self.mirror = GitMirror(folder / "m.git", remote, project=ProjectName("shop"), default_branch="main", git=Git())

    async def candidate(self) -> Candidate:
        member = CandidateMember(task=TaskRow(1), head=self.head, message="m")
        made = await self.mirror.build_candidate(await self.mirror.fetch(), [member], LandStyle.SQUASH)
        assert isinstance(made, Candidate)
        return made

    def rewind(self) -> None:
        self.remote.git("update-ref", "refs/heads/main", self.first)

    @property
    def hook(self) -> Path:
        return self.mirror.path / "push-hooks" / "pre-push"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def count_starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that names each command which git is started for from now on."""
    started: list[str] = []
    run = Git.run

    async def counted(self: Git, *args: Any, **named: Any) -> Any:
        started.append(args[1])
        return await run(self, *args, **named)

    monkeypatch.setattr(Git, "run", counted)
    return started


async def test_G3_a_main_that_was_rewound_is_seen_by_the_push_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await bench.candidate()
    bench.rewind()
    started = count_starts(monkeypatch)
    pushed = await bench.mirror.push_candidate(made)
    assert pushed.result is PushResult.MOVED
    assert started[:2] == ["push", "ls-remote"]
    assert bench.remote.tip("main") == bench.first


async def test_a_landing_starts_git_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await bench.candidate()
    started = count_starts(monkeypatch)
    assert (await bench.mirror.push_candidate(made)).result is PushResult.PUSHED
    assert started == ["push", "ls-remote"]
    assert bench.mirror.tracked("main") == made.sha


async def test_G3_where_a_hook_may_not_be_executed_the_remote_is_looked_at_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await bench.candidate()
    assert await anyio.to_thread.run_sync(install, bench.hook.parent)
    bench.hook.chmod(0o600)
    bench.rewind()
    started = count_starts(monkeypatch)
    assert (await bench.mirror.push_candidate(made)).result is PushResult.MOVED
    assert "push" not in started
    assert bench.remote.tip("main") == bench.first
    bench.remote.git("update-ref", "refs/heads/main", made.base)
    assert (await bench.mirror.push_candidate(made)).result is PushResult.PUSHED


async def test_a_hook_that_is_not_ours_any_more_is_written_again(bench: Bench) -> None:
    made = await bench.candidate()
    await anyio.to_thread.run_sync(install, bench.hook.parent)
    bench.hook.write_text("#!/bin/sh\nexit 0\n")
    bench.rewind()
    assert (await bench.mirror.push_candidate(made)).result is PushResult.MOVED
    assert REFUSAL in bench.hook.read_text()
    assert os.listdir(bench.hook.parent) == ["pre-push"]


async def test_where_no_hook_can_be_written_the_remote_is_looked_at_first(bench: Bench) -> None:
    made = await bench.candidate()
    bench.hook.parent.write_text("in the way")
    bench.rewind()
    assert (await bench.mirror.push_candidate(made)).result is PushResult.MOVED
    assert bench.remote.tip("main") == bench.first


async def test_the_refusal_names_what_stands_there(bench: Bench) -> None:
    made = await bench.candidate()
    hooks = bench.hook.parent
    assert await anyio.to_thread.run_sync(install, hooks)
    bench.rewind()
    mirror, onto = bench.mirror, Onto(base=made.base, hooks=hooks)
    answer = await push_ref(mirror.git, mirror.path, mirror.remote(), f"{made.sha}:refs/heads/main", onto=onto)
    assert answer.answer is Answer.BEHIND
    assert answer.detail == f"{REFUSAL} {bench.first}"


# ------------------------------------------------------------------------------------------------ side by side


async def _give(value: Sha) -> Sha:
    await anyio.lowlevel.checkpoint()
    return value


async def _fail(error: Exception) -> Sha:
    await anyio.lowlevel.checkpoint()
    raise error


async def test_two_questions_give_two_answers() -> None:
    assert await side_by_side(lambda: _give(Sha("a")), lambda: _give(Sha("b"))) == ("a", "b")


@pytest.mark.parametrize("swapped", [False, True])
async def test_a_failure_of_either_is_raised_as_it_is(swapped: bool) -> None:
    pair = [lambda: _give(Sha("a")), lambda: _fail(TransientError("git", "x", "no route"))]
    one, other = reversed(pair) if swapped else pair
    with pytest.raises(TransientError, match="no route"):
        await side_by_side(one, other)


async def test_two_failures_are_no_group() -> None:
    with pytest.raises(PermanentError):
        await side_by_side(lambda: _fail(PermanentError("git", "x", "1")), lambda: _fail(PermanentError("git", "x", "2")))
