"""The mirror's traffic with Gitea over smart HTTP: pushing, landing, races, refusals, and where the token is not."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import psutil
import pytest

from orch.adapters.git import Git, GitMirror
from orch.adapters.git.landing_right import check_landing_right
from orch.adapters.git.runner import Options
from orch.adapters.gitea import GiteaForge
from orch.core.errors import PermanentError, TransientError
from orch.core.ids import Branch, ProjectName, Sha, TaskRow
from orch.core.model import Candidate, LandStyle, PullRequestState
from orch.ports import CandidateMember, Pushed, PushResult
from orch.rehearsal.gitea import BOT, FakeGitea, Refused
from orch.rehearsal.gitea.state import Protection
from tests.fakes.gitea_connection import open_forge

SHOP = ProjectName("shop")
BRANCH = Branch("feature/SHOP-1-x")


@pytest.fixture
async def gitea(tmp_path: Path) -> AsyncIterator[FakeGitea]:
    async with FakeGitea(tmp_path / "gitea") as server:
        yield server
        server.faults.assert_used()


@pytest.fixture
async def forge(gitea: FakeGitea, tmp_path: Path) -> AsyncIterator[GiteaForge]:
    async with open_forge(gitea, tmp_path / "data", project=SHOP) as forge:
        yield forge


def mirror_of(forge: GiteaForge, path: Path) -> GitMirror:
    return GitMirror(path, forge.remote, project=SHOP, default_branch="main", git=Git())


@pytest.fixture
def mirror(forge: GiteaForge, tmp_path: Path) -> GitMirror:
    return mirror_of(forge, tmp_path / "m.git")


async def candidate(mirror: GitMirror, head: Sha) -> Candidate:
    tip = await mirror.fetch()
    member = CandidateMember(task=TaskRow(1), head=head, message="Task 1")
    built = await mirror.build_candidate(tip, [member], LandStyle.REBASE)
    assert isinstance(built, Candidate)
    return built


# ------------------------------------------------------------------------------------------------ task branches


async def test_a_task_branch_is_made_moved_and_deleted_by_its_lease(gitea: FakeGitea, mirror: GitMirror) -> None:
    head = gitea.person.push("feature/SHOP-9-source", {"x": "1"})
    main = await mirror.fetch()
    assert (await mirror.push_branch(BRANCH, head, expected=None)).result is PushResult.PUSHED
    assert (await mirror.push_branch(BRANCH, main, expected=None)).result is PushResult.MOVED
    assert (await mirror.push_branch(BRANCH, main, expected=main)).result is PushResult.MOVED
    assert gitea.person.tip(BRANCH) == head
    assert (await mirror.push_branch(BRANCH, main, expected=head)).result is PushResult.PUSHED
    assert gitea.person.tip(BRANCH) == main
    assert (await mirror.delete_branch(BRANCH, expected=head)).result is PushResult.MOVED
    assert (await mirror.delete_branch(BRANCH, expected=main)).result is PushResult.PUSHED
    assert (await mirror.delete_branch(BRANCH, expected=main)).result is PushResult.PUSHED, (
        "it is gone: stale info means that too"
    )


async def test_a_large_push_arrives_whole(gitea: FakeGitea, mirror: GitMirror, tmp_path: Path) -> None:
    """Beyond what git sends in one piece, the body comes in chunks of unknown number."""
    main = await mirror.fetch()
    noise = tmp_path / "noise"
    noise.write_bytes(os.urandom(3_000_000))
    blob = (await mirror.git.run(mirror.path, "hash-object", "-w", str(noise))).word()
    line = f"100644 blob {blob}\tnoise\n".encode()
    tree = await mirror.git.run(mirror.path, "mktree", options=_stdin(line))
    made = await mirror.git.run(mirror.path, "commit-tree", tree.word(), "-p", main, options=_stdin(b"noise\n"))
    assert (await mirror.push_branch(BRANCH, Sha(made.word()), expected=None)).result is PushResult.PUSHED
    assert gitea.person.tip(BRANCH) == made.word()


def _stdin(data: bytes) -> Options:
    return Options(stdin=data)


# ------------------------------------------------------------------------------------------------ landing


async def test_a_candidate_lands_and_its_pull_request_is_marked(gitea: FakeGitea, forge: GiteaForge, mirror: GitMirror) -> None:
    head = gitea.person.push(BRANCH, {"x": "1"})
    gitea.person.push("main", {"y": "2"})
    pull = await forge.open_pull_request(BRANCH, title="WIP: x", body="")
    made = await candidate(mirror, head)
    assert (await mirror.push_candidate(made)).result is PushResult.PUSHED
    assert gitea.person.tip("main") == made.sha != head
    merged = await forge.mark_merged(pull.number, made.landed[TaskRow(1)])
    assert (merged.state, merged.merged) == (PullRequestState.MERGED, made.sha)
    assert (await mirror.delete_branch(BRANCH, expected=head)).result is PushResult.PUSHED
    again = await forge.fetch_pull_request(pull.number)
    assert again == merged, "a merged one stays merged without its branch"
    assert (await mirror.push_candidate(made)).result is PushResult.PUSHED, "done again after a crash"


async def test_G3_main_that_moved_before_the_push_is_not_overwritten(gitea: FakeGitea, mirror: GitMirror) -> None:
    made = await candidate(mirror, gitea.person.push(BRANCH, {"x": "1"}))
    moved = gitea.person.push("main", {"y": "2"})
    assert (await mirror.push_candidate(made)).result is PushResult.MOVED
    assert gitea.person.tip("main") == moved


async def test_G3_main_that_moves_in_mid_air_wins_over_the_push(gitea: FakeGitea, mirror: GitMirror) -> None:
    """Between what the server advertised and what it is sent: the server's own comparison is the last word."""
    made = await candidate(mirror, gitea.person.push(BRANCH, {"x": "1"}))
    gate = gitea.faults.hold_next("git.receive-pack")
    results: list[Pushed] = []

    async def push() -> None:
        results.append(await mirror.push_candidate(made))

    async with anyio.create_task_group() as group:
        group.start_soon(push)
        await gate.reached.wait()
        moved = gitea.person.push("main", {"y": "2"})
        gate.open()
    assert [pushed.result for pushed in results] == [PushResult.MOVED]
    assert gitea.person.tip("main") == moved


async def test_G3_of_two_pushes_at_once_one_wins(gitea: FakeGitea, forge: GiteaForge, tmp_path: Path) -> None:
    mirrors = [mirror_of(forge, tmp_path / f"m{number}.git") for number in range(2)]
    made = [await candidate(each, gitea.person.push(f"feature/SHOP-{n}-x", {f"x{n}": "1"})) for n, each in enumerate(mirrors)]
    gates = [gitea.faults.hold_next("git.receive-pack") for _ in mirrors]
    results: dict[Sha, PushResult] = {}

    async def push(each: GitMirror, one: Candidate) -> None:
        try:
            results[one.sha] = (await each.push_candidate(one)).result
        except TransientError:  # the other's lock stood there: nothing was moved by us
            results[one.sha] = PushResult.MOVED

    async with anyio.create_task_group() as group:
        for each, one in zip(mirrors, made, strict=True):
            group.start_soon(push, each, one)
        for gate in gates:
            await gate.reached.wait()
        for gate in gates:
            gate.open()
    assert sorted(results.values()) == [PushResult.MOVED, PushResult.PUSHED]
    assert results[gitea.person.tip("main")] is PushResult.PUSHED


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Protection("main"), "Not allowed to push to protected branch main"),
        (Protection("main", enable_push=True, push_whitelist=("anna",)), "Not allowed to push to protected branch main"),
        (Protection("main", enable_push=True, protected_file_patterns="*.lock"), "protected from changing file a.lock"),
        (Protection("main", enable_push=True, require_signed_commits=True), "protected from unverified commit"),
    ],
    ids=["nobody", "others", "files", "signatures"],
)
async def test_a_protected_main_refuses_and_says_why(gitea: FakeGitea, mirror: GitMirror, rule: Protection, said: str) -> None:
    made = await candidate(mirror, gitea.person.push(BRANCH, {"a.lock": "1"}))
    gitea.repo.protections["main"] = rule
    refused = await mirror.push_candidate(made)
    assert refused.result is PushResult.REFUSED
    assert said in refused.detail
    assert gitea.person.tip("main") == made.base


async def test_a_whitelisted_bot_lands_on_a_protected_main(gitea: FakeGitea, mirror: GitMirror) -> None:
    made = await candidate(mirror, gitea.person.push(BRANCH, {"x": "1"}))
    gitea.repo.protections["main"] = Protection("main", enable_push=True, push_whitelist=(BOT,))
    assert (await mirror.push_candidate(made)).result is PushResult.PUSHED


# ------------------------------------------------------------------------------------------------ the right to land


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (None, True),
        (Protection("main"), False),
        (Protection("main", enable_push=True, push_whitelist=("anna",)), False),
        (Protection("main", enable_push=True, push_whitelist=(BOT,)), True),
    ],
    ids=["free", "nobody", "others", "the bot"],
)
async def test_the_right_to_land_is_tried_and_nothing_changes(
    gitea: FakeGitea, mirror: GitMirror, rule: Protection | None, allowed: bool
) -> None:
    if rule is not None:
        gitea.repo.protections["main"] = rule
    before = gitea.person.tip("main")
    right = await check_landing_right(mirror)
    assert right.allowed is allowed
    assert ("protected branch main" in right.detail) is not allowed
    assert gitea.person.tip("main") == before
    assert gitea.repo.git.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert gitea.log == []


async def test_a_bot_that_may_only_read_has_no_right_to_land(gitea: FakeGitea, mirror: GitMirror) -> None:
    gitea.repo.rights[BOT] = "read"
    right = await check_landing_right(mirror)
    assert not right.allowed
    assert "permission denied for writing" in right.detail


async def test_asking_for_the_right_again_leaves_no_further_object(mirror: GitMirror) -> None:
    await check_landing_right(mirror)
    before = (await mirror.git.run(mirror.path, "count-objects")).out
    await check_landing_right(mirror)
    assert (await mirror.git.run(mirror.path, "count-objects")).out == before


# ------------------------------------------------------------------------------------------------ failures


async def test_a_refused_token_is_permanent_and_not_told(gitea: FakeGitea, tmp_path: Path) -> None:
    async with open_forge(gitea, tmp_path / "data", project=SHOP, token="f" * 40) as forge:
        with pytest.raises(PermanentError, match="Authentication failed") as caught:
            await mirror_of(forge, tmp_path / "m.git").fetch()
    assert "f" * 40 not in str(caught.value)


async def test_a_token_that_is_withdrawn_refuses_the_push(gitea: FakeGitea, mirror: GitMirror) -> None:
    head = gitea.person.push("feature/SHOP-9-source", {"x": "1"})
    await mirror.fetch()
    gitea.state.tokens.clear()
    with pytest.raises(PermanentError, match="Authentication failed"):
        await mirror.push_branch(BRANCH, head, expected=None)


async def test_a_server_that_is_away_is_transient(gitea: FakeGitea, mirror: GitMirror) -> None:
    made = await candidate(mirror, gitea.person.push(BRANCH, {"x": "1"}))
    await gitea.go_down()
    with pytest.raises(TransientError):
        await mirror.push_candidate(made)
    with pytest.raises(TransientError):
        await check_landing_right(mirror)
    await gitea.come_back()
    assert (await mirror.push_candidate(made)).result is PushResult.PUSHED


@pytest.mark.parametrize(
    ("status", "kind"), [(502, TransientError), (429, TransientError), (301, PermanentError), (413, PermanentError)]
)
async def test_what_a_proxy_answers_is_told_apart(
    gitea: FakeGitea, mirror: GitMirror, status: int, kind: type[Exception]
) -> None:
    gitea.faults.fail_next("git.upload-pack.refs", Refused(status, "from a proxy"))
    with pytest.raises(kind):
        await mirror.fetch()


async def test_a_push_whose_body_a_proxy_refuses_is_permanent(gitea: FakeGitea, mirror: GitMirror) -> None:
    head = gitea.person.push("feature/SHOP-9-source", {"x": "1"})
    await mirror.fetch()
    gitea.faults.fail_next("git.receive-pack", Refused(413, "too large"))
    with pytest.raises(PermanentError, match="413"):
        await mirror.push_branch(BRANCH, head, expected=None)


async def test_a_server_whose_hook_cannot_ask_it_is_sick_not_strict(gitea: FakeGitea, mirror: GitMirror) -> None:
    made = await candidate(mirror, gitea.person.push(BRANCH, {"x": "1"}))
    gitea.sick = True
    with pytest.raises(TransientError, match="Internal Server Connection Error"):
        await mirror.push_candidate(made)
    with pytest.raises(TransientError):
        await check_landing_right(mirror)
    gitea.sick = False
    assert (await mirror.push_candidate(made)).result is PushResult.PUSHED


async def test_G10_a_push_whose_answer_was_lost_has_landed(gitea: FakeGitea, mirror: GitMirror) -> None:
    made = await candidate(mirror, gitea.person.push(BRANCH, {"x": "1"}))
    gitea.faults.fail_after("git.receive-pack", Refused(502, "from a proxy"))
    with pytest.raises(TransientError):
        await mirror.push_candidate(made)
    assert gitea.person.tip("main") == made.sha
    assert (await mirror.push_candidate(made)).result is PushResult.PUSHED


async def test_a_repository_that_is_not_there_is_permanent(gitea: FakeGitea, tmp_path: Path) -> None:
    async with open_forge(gitea, tmp_path / "data", project=SHOP, repo="team/none") as forge:
        with pytest.raises(PermanentError):
            await mirror_of(forge, tmp_path / "m.git").fetch()
        right = mirror_of(forge, tmp_path / "m2.git")
        with pytest.raises(PermanentError):
            await check_landing_right(right)


# ------------------------------------------------------------------------------------------------ the token


def needles(gitea: FakeGitea) -> bytes:
    return gitea.token.encode()


def files_holding(needle: bytes, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


def processes_holding(needle: bytes, what: str) -> list[str]:
    """Return the command lines of this process's descendants in whose *what* (``cmdline``, ``environ``) *needle* stands."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            text = Path(f"/proc/{child.pid}/{what}").read_bytes()
        except OSError:
            continue  # it has ended
        if needle in text:
            found.append(text.decode(errors="replace"))
    return found


async def test_G13_the_token_is_in_no_argument_environment_or_url(
    gitea: FakeGitea, mirror: GitMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = gitea.person.push("feature/SHOP-9-source", {"x": "1"})
    await mirror.fetch()
    gate = gitea.faults.hold_next("git.receive-pack")
    seen: list[str] = []
    async with anyio.create_task_group() as group:

        async def push() -> None:
            await mirror.push_branch(BRANCH, head, expected=None)

        group.start_soon(push)
        await gate.reached.wait()
        names = [child.name() for child in psutil.Process().children(recursive=True)]
        seen = processes_holding(needles(gitea), "cmdline") + processes_holding(needles(gitea), "environ")
        gate.open()
    assert any(name.startswith("git") for name in names), "git was looked at while it pushed"
    assert seen == []
    assert gitea.seen_urls
    assert not [url for url in gitea.seen_urls if gitea.token in url or "@" in url]


async def test_G13_the_token_is_in_no_file_of_the_mirror_and_nobody_else_may_read_its_own(
    gitea: FakeGitea, mirror: GitMirror, tmp_path: Path
) -> None:
    await mirror.fetch()
    holding = files_holding(needles(gitea), tmp_path)
    assert holding == [tmp_path / "data" / "gitea" / "token"]
    modes = {
        path.name: oct(path.stat().st_mode & 0o777) for path in (holding[0], holding[0].parent, holding[0].parent / "askpass")
    }
    assert modes == {"token": "0o600", "gitea": "0o700", "askpass": "0o700"}


async def test_G13_git_tells_the_token_to_its_own_server_alone(gitea: FakeGitea, forge: GiteaForge, tmp_path: Path) -> None:
    env = forge.remote().env
    for prompt in ("Password for 'http://elsewhere': ", f"Password for '{gitea.url}.evil': ", "", "Username for 'https://x': "):
        asked = await anyio.run_process([env["GIT_ASKPASS"], prompt], check=False, env={"PATH": "/bin"})
        assert (asked.returncode, asked.stdout) == (1, b"")
    async with FakeGitea(tmp_path / "other") as other:
        before = other.faults.calls["git.upload-pack.refs"]
        with pytest.raises(PermanentError, match="could not read"):
            await Git().run(None, "ls-remote", "--", f"{other.url}/team/shop.git", options=Options(env=env))
        assert other.faults.calls["git.upload-pack.refs"] == before + 1, "it was asked once, without credentials"


async def test_G13_a_redirect_is_not_followed(gitea: FakeGitea, forge: GiteaForge, tmp_path: Path) -> None:
    """Not even to the same server: the configured address is the one that answers."""
    there = {"Location": f"{gitea.url}/team/shop.git/info/refs?service=git-upload-pack"}
    gitea.faults.fail_next("git.upload-pack.refs", Refused(307, "moved", there))
    with pytest.raises(PermanentError, match=re.escape("error: 307")):
        await mirror_of(forge, tmp_path / "m.git").fetch()
