"""The Gitea adapter on a real server, named by ORCH_LIVE_GITEA_URL, ORCH_LIVE_GITEA_TOKEN and ORCH_LIVE_GITEA_REPO.

Skipped without them. The token belongs to a user who may write to the repository; everything happens on branches of the test's
own, a base branch among them, which are deleted at the end. The default branch is read only.
"""

import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from orch.adapters.git import Git, GitMirror
from orch.adapters.git.landing_right import check_landing_right
from orch.adapters.gitea import GiteaForge, make_gitea_client, make_gitea_forge
from orch.adapters.gitea.webhook import list_webhooks
from orch.config.settings import Settings
from orch.core.errors import PermanentError, TransientError
from orch.core.ids import Branch, ProjectName, Sha, TaskRow, WorkItemId
from orch.core.model import Candidate, CiState, CommitStatus, LandStyle, Project, PullRequest, PullRequestState
from orch.ports import CandidateMember, PushResult

URL = os.environ.get("ORCH_LIVE_GITEA_URL", "")
TOKEN = os.environ.get("ORCH_LIVE_GITEA_TOKEN", "")
REPO = os.environ.get("ORCH_LIVE_GITEA_REPO", "")

pytestmark = [
    pytest.mark.skipif(not (URL and TOKEN and REPO), reason="no real Gitea (ORCH_LIVE_GITEA_URL, _TOKEN, _REPO)"),
    pytest.mark.timeout(300),
]


@dataclass
class Live:
    """A base branch of the test's own, and the adapter on it."""

    forge: GiteaForge
    mirror: GitMirror
    base: str
    branch: Branch
    pulls: list[int]

    async def push_work(self, name: str = "01-brd.md", text: str = "work") -> Sha:
        """Push one commit on the base to the task branch."""
        base = await self.mirror.fetch()
        await self.mirror.push_branch(self.branch, base, expected=await self.mirror.remote_tip(self.branch))
        head = await self.mirror.write_artefact(self.branch, base, WorkItemId("LIVE-1"), name=name, text=text)
        assert head is not None
        await self.mirror.fetch()
        return head

    async def open(self) -> PullRequest:
        pull = await self.forge.open_pull_request(self.branch, title="WIP: LIVE-1: try", body="A test opened this.")
        self.pulls.append(pull.number)
        return pull

    async def land(self, head: Sha) -> Candidate:
        base = await self.mirror.fetch()
        member = CandidateMember(task=TaskRow(1), head=head, message="LIVE-1")
        built = await self.mirror.build_candidate(base, [member], LandStyle.SQUASH)
        assert isinstance(built, Candidate)
        assert (await self.mirror.push_candidate(built)).result is PushResult.PUSHED
        return built


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    settings = Settings(gitea_url=URL, gitea_token=SecretStr(TOKEN))
    mark = secrets.token_hex(4)
    base, branch = f"orch-live-{mark}", Branch(f"feature/LIVE-1-{mark}")
    project = Project(name=ProjectName("live"), prefix="LIVE", forge="gitea", repo=REPO, default_branch=base)
    async with make_gitea_client(settings) as client:
        forge = make_gitea_forge(settings, project, tmp_path / "data", client)
        default = (await forge.api.require_repo())["default_branch"]
        await client.post(f"{forge.api.path}/branches", {"new_branch_name": base, "old_ref_name": default})
        mirror = GitMirror(tmp_path / "m.git", forge.remote, project=project.name, default_branch=base, git=Git())
        made = Live(forge=forge, mirror=mirror, base=base, branch=branch, pulls=[])
        try:
            yield made
        finally:
            for number in made.pulls:
                await forge.edit_pull_request(number, state=PullRequestState.CLOSED)
            for name in (branch, base):
                await client.delete(f"{forge.api.path}/branches/{name}")


async def test_a_pull_request_is_opened_found_edited_closed_and_reopened(live: Live) -> None:
    with pytest.raises(PermanentError):
        await live.forge.open_pull_request(Branch(f"{live.branch}-none"), title="x", body="")
    await live.push_work()
    pull = await live.open()
    assert await live.forge.open_pull_request(live.branch, title="again", body="") == pull
    assert await live.forge.fetch_pull_request(pull.number) == pull
    assert await live.forge.find_pull_request(live.branch) == pull
    assert await live.forge.list_pull_requests(PullRequestState.OPEN) == [pull]
    assert await live.forge.fetch_pull_request(pull.number + 1_000_000) is None
    edited = await live.forge.edit_pull_request(pull.number, title="LIVE-1: try", body="Edited.")
    assert (edited.title, edited.body) == ("LIVE-1: try", "Edited.")
    for state in (PullRequestState.CLOSED, PullRequestState.OPEN):
        assert (await live.forge.edit_pull_request(pull.number, state=state)).state is state


async def test_the_comment_stays_one(live: Live) -> None:
    await live.push_work()
    pull = await live.open()
    for text in ("running", "done"):
        await live.forge.keep_comment(pull.number, marker="orch:live", text=text)
    path = f"{live.forge.api.path}/issues/{pull.number}/comments"
    assert [item["body"] async for item in live.forge.api.items(path)] == ["<!-- orch:live -->\ndone"]


async def test_statuses_are_posted_and_read(live: Live) -> None:
    head = await live.push_work()
    assert await live.forge.fetch_statuses(head) == []
    pending = CommitStatus(sha=head, context="orch/live", state=CiState.PENDING, description="running")
    green = CommitStatus(sha=head, context="orch/live", state=CiState.SUCCESS, description="ok", url="http://localhost/1")
    for status in (pending, green):
        await live.forge.post_status(status)
    assert await live.forge.fetch_statuses(head) == [green]
    with pytest.raises(PermanentError):
        await live.forge.post_status(CommitStatus(sha=Sha("f" * 40), context="orch/live", state=CiState.ERROR))


async def test_a_candidate_lands_and_is_marked_and_its_branch_deleted(live: Live) -> None:
    head = await live.push_work()
    pull = await live.open()
    assert (await check_landing_right(live.mirror)).allowed
    marking = await live.forge.check_manual_merge()
    with pytest.raises((TransientError, PermanentError)):
        await live.forge.mark_merged(pull.number, head)
    landed = await live.land(head)
    assert await live.mirror.remote_tip(live.base) == landed.sha
    if marking.allowed:
        merged = await live.forge.mark_merged(pull.number, landed.sha)
        assert (merged.state, merged.merged) == (PullRequestState.MERGED, landed.sha)
        assert (await live.forge.mark_merged(pull.number, landed.sha)).merged == landed.sha
    assert (await live.mirror.delete_branch(live.branch, expected=landed.base)).result is PushResult.MOVED
    for _ in range(2):
        assert (await live.mirror.delete_branch(live.branch, expected=head)).result is PushResult.PUSHED


async def test_one_whose_branch_went_first_is_marked_all_the_same(live: Live) -> None:
    head = await live.push_work()
    pull = await live.open()
    if not (await live.forge.check_manual_merge()).allowed:
        pytest.skip("this repository does not allow manual merges")
    landed = await live.land(head)
    await live.mirror.delete_branch(live.branch, expected=head)
    with anyio.fail_after(30):  # the server closes it in its own time and tells nobody here
        while (seen := await live.forge.fetch_pull_request(pull.number)) and seen.state is PullRequestState.OPEN:  # noqa: ASYNC110
            await anyio.sleep(0.5)
    assert (await live.forge.mark_merged(pull.number, landed.sha)).state is PullRequestState.MERGED


async def test_the_rights_are_told(live: Live) -> None:
    rights = await live.forge.fetch_branch_rights()
    assert rights.user_can_push


async def test_the_tip_is_told_and_hooks_are_listed_where_one_may_see_them(live: Live) -> None:
    assert await live.forge.fetch_tip() == await live.mirror.remote_tip(live.base)
    try:
        hooks = await list_webhooks(live.forge.api)
    except PermanentError:
        pytest.skip("only an administrator of the repository sees its hooks")
    assert all(hook.url.startswith("http") for hook in hooks)


async def test_a_branch_that_somebody_moved_is_not_written_over(live: Live) -> None:
    head = await live.push_work()
    other = await live.mirror.write_artefact(live.branch, head, WorkItemId("LIVE-1"), name="02-acceptance.md", text="more")
    assert other is not None
    pushed = await live.mirror.push_branch(live.branch, head, expected=head)
    assert pushed.result is PushResult.MOVED
    assert await live.mirror.remote_tip(live.branch) == other
