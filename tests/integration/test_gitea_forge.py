"""The Gitea adapter against a server that behaves as real ones do: silent, late, ambiguous, and now and then away."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from orch.adapters.gitea import GiteaForge
from orch.core.errors import ConfigError, CredentialRefused, PermanentError, TransientError
from orch.core.ids import Branch, ProjectName, Sha
from orch.core.model import CiState, CommitStatus, PullRequestState
from orch.rehearsal.gitea import BOT, Cut, FakeGitea, Refused
from orch.rehearsal.gitea.state import Protection
from tests.builders import sha
from tests.fakes.gitea_connection import open_forge

SHOP = ProjectName("shop")
BRANCH = Branch("feature/SHOP-1-greet")
SECOND = Branch("feature/SHOP-2-x")
SICK = Refused(500, {"message": "", "url": ""})


@pytest.fixture(params=[False, True], ids=["newer", "older"])
def old(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def gitea(tmp_path: Path, old: bool) -> AsyncIterator[FakeGitea]:
    async with FakeGitea(tmp_path / "gitea", old=old) as server:
        for branch in (BRANCH, SECOND):
            server.person.push(branch, {f"{branch[-3:]}.txt": "work"})
        server.log.clear()
        yield server
        server.faults.assert_used()


@pytest.fixture
async def forge(gitea: FakeGitea, tmp_path: Path) -> AsyncIterator[GiteaForge]:
    async with open_forge(gitea, tmp_path / "data", project=SHOP) as forge:
        yield forge


def landed(gitea: FakeGitea) -> Sha:
    """Put a commit onto main, as the train's push does."""
    return gitea.somebody(BOT).push("main", {"landed.txt": "1"}, "landed")


# ------------------------------------------------------------------------------------------------ opening and finding


async def test_G10_a_lost_answer_does_not_open_a_second_one(gitea: FakeGitea, forge: GiteaForge) -> None:
    gitea.faults.fail_after("pulls.create", Cut())
    with pytest.raises(TransientError):
        await forge.open_pull_request(BRANCH, title="Greet", body="")
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    assert (pull.number, len(gitea.repo.pulls)) == (1, 1)


async def test_the_open_one_is_found_behind_many_others(gitea: FakeGitea, forge: GiteaForge) -> None:
    gitea.page_max = 2  # less than is asked for
    first = await forge.open_pull_request(BRANCH, title="Greet", body="")
    for number in range(5):
        gitea.person.push(f"other/{number}", {f"{number}": "1"})
        gitea.person.open(f"other/{number}")
    assert await forge.open_pull_request(BRANCH, title="Greet", body="") == first
    assert len(await forge.list_pull_requests()) == 6


async def test_a_forks_branch_of_the_same_name_is_somebody_elses(gitea: FakeGitea, forge: GiteaForge) -> None:
    gitea.person.open(BRANCH, fork=True)
    assert await forge.find_pull_request(BRANCH) is None
    assert await forge.list_pull_requests() == []
    ours = await forge.open_pull_request(BRANCH, title="Greet", body="")
    assert await forge.find_pull_request(BRANCH) == ours


async def test_one_onto_another_branch_is_not_ours(gitea: FakeGitea, forge: GiteaForge) -> None:
    gitea.person.open(BRANCH, base=SECOND)
    assert await forge.find_pull_request(BRANCH) is None


async def test_a_branch_that_is_not_there_is_told_from_one_not_seen_yet(gitea: FakeGitea, forge: GiteaForge) -> None:
    with pytest.raises(PermanentError, match="has no branch feature/SHOP-9-no"):
        await forge.open_pull_request(Branch("feature/SHOP-9-no"), title="x", body="")
    gitea.faults.fail_next("pulls.create", Refused(404, {"message": "", "url": ""}))
    with pytest.raises(TransientError, match="does not see the branch"):
        await forge.open_pull_request(BRANCH, title="x", body="")


async def test_a_branch_without_a_commit_of_its_own_is_refused_or_empty(gitea: FakeGitea, forge: GiteaForge, old: bool) -> None:
    gitea.person.move("feature/SHOP-3-none", gitea.person.tip("main"))
    if old:
        assert (await forge.open_pull_request(Branch("feature/SHOP-3-none"), title="x", body="")).number == 1
    else:
        with pytest.raises(PermanentError, match="no changes"):
            await forge.open_pull_request(Branch("feature/SHOP-3-none"), title="x", body="")


async def test_one_whose_branch_was_deleted_keeps_its_name(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    gitea.person.delete_branch(BRANCH)
    closed = await forge.fetch_pull_request(pull.number)
    assert closed is not None
    assert (closed.branch, closed.state) == (BRANCH, PullRequestState.CLOSED)
    assert await forge.find_pull_request(BRANCH) == closed


async def test_a_list_stops_at_what_is_older_than_asked_for(gitea: FakeGitea, forge: GiteaForge) -> None:
    gitea.page_max = 1
    await forge.open_pull_request(BRANCH, title="Greet", body="")
    second = await forge.open_pull_request(SECOND, title="x", body="")
    since = datetime.fromisoformat(gitea.person.pull(second.number).updated_at)
    before = gitea.faults.calls["pulls.list"]
    assert await forge.list_pull_requests(since=since) == [second]
    assert gitea.faults.calls["pulls.list"] - before == 2
    assert await forge.list_pull_requests(since=datetime(2100, 1, 1, tzinfo=UTC)) == []


async def test_whether_it_can_be_merged_is_never_read(gitea: FakeGitea, forge: GiteaForge) -> None:
    """The forge tells it later and wrongly; a pull request is the same value before and after."""
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    assert [await forge.fetch_pull_request(pull.number) for _ in range(4)] == [pull] * 4
    told = [exchange.answer["mergeable"] for exchange in gitea.exchanges if exchange.route.endswith("<int:number>")]
    assert told == [False, False, True, True]


# ------------------------------------------------------------------------------------------------ editing


async def test_a_merged_one_takes_a_title_and_no_state(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="WIP: Greet", body="a")
    merged = await forge.mark_merged(pull.number, landed(gitea))
    edited = await forge.edit_pull_request(pull.number, title="Greet", body="b", state=PullRequestState.CLOSED)
    assert (edited.title, edited.body, edited.state, edited.merged) == ("Greet", "b", PullRequestState.MERGED, merged.merged)


async def test_one_that_is_merged_between_look_and_edit_is_looked_at_again(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    gate = gitea.faults.hold_next("pulls.edit")
    async with anyio.create_task_group() as group:

        async def close() -> None:
            with pytest.raises(TransientError, match="changed meanwhile"):
                await forge.edit_pull_request(pull.number, state=PullRequestState.CLOSED)

        group.start_soon(close)
        await gate.reached.wait()
        gitea.person.merge(pull.number)
        gate.open()
    assert (await forge.edit_pull_request(pull.number, state=PullRequestState.CLOSED)).state is PullRequestState.MERGED


async def test_an_edit_to_the_same_state_writes_nothing(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    gitea.log.clear()
    assert await forge.edit_pull_request(pull.number, state=PullRequestState.OPEN) == pull
    assert gitea.log == []


# ------------------------------------------------------------------------------------------------ marking as merged


async def test_marking_says_exactly_the_landed_commit(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="WIP: Greet", body="")
    tip = landed(gitea)
    merged = await forge.mark_merged(pull.number, tip)
    assert (merged.state, merged.merged, merged.branch) == (PullRequestState.MERGED, tip, BRANCH)
    assert gitea.person.tip(BRANCH) != tip, "the task's branch is as it was"


async def test_G10_a_lost_answer_marks_once(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    tip = landed(gitea)
    gitea.faults.fail_after("pulls.merge", SICK)
    with pytest.raises(TransientError):
        await forge.mark_merged(pull.number, tip)
    assert (await forge.mark_merged(pull.number, tip)).merged == tip
    assert len([entry for entry in gitea.log if entry[0] == "merged"]) == 1


async def test_a_merge_that_was_detected_or_made_by_a_person_counts(gitea: FakeGitea, forge: GiteaForge) -> None:
    gitea.repo.autodetect_manual_merge = True
    detected = await forge.open_pull_request(BRANCH, title="Greet", body="")
    gitea.person.move("main", gitea.person.tip(BRANCH))
    assert (await forge.mark_merged(detected.number, landed(gitea))).merged == gitea.person.tip(BRANCH)
    by_hand = await forge.open_pull_request(SECOND, title="x", body="")
    button = gitea.person.merge(by_hand.number)
    assert (await forge.mark_merged(by_hand.number, landed(gitea))).merged == button


async def test_one_closed_by_the_deletion_of_its_branch_is_opened_and_marked(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    tip = landed(gitea)
    gitea.person.delete_branch(BRANCH)
    merged = await forge.mark_merged(pull.number, tip)
    assert (merged.state, merged.merged, merged.branch) == (PullRequestState.MERGED, tip, BRANCH)


async def test_a_commit_that_the_base_does_not_hold_yet_is_asked_about_again(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    with pytest.raises(TransientError, match="does not see"):
        await forge.mark_merged(pull.number, gitea.person.tip(BRANCH))
    assert gitea.person.pull(pull.number).state == "open"


async def test_a_forge_that_does_not_allow_the_mark_is_told_from_one_that_is_busy(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    tip = landed(gitea)
    gitea.faults.fail_next("pulls.merge", Refused(405, {"message": "Please try again later", "url": ""}))
    with pytest.raises(TransientError, match="try again"):
        await forge.mark_merged(pull.number, tip)
    gitea.repo.allow_manual_merge = False
    with pytest.raises(PermanentError, match="allow_manual_merge"):
        await forge.mark_merged(pull.number, tip)
    gitea.repo.allow_manual_merge = True
    gitea.repo.protections["main"] = Protection("main", enable_push=True, merge_whitelist=("anna",))
    with pytest.raises(PermanentError, match="whitelist"):
        await forge.mark_merged(pull.number, tip)
    gitea.repo.protections.clear()
    assert (await forge.mark_merged(pull.number, tip)).merged == tip


async def test_whether_marking_is_allowed_is_found_out_without_a_change(gitea: FakeGitea, forge: GiteaForge, old: bool) -> None:
    if old:
        assert (await forge.check_manual_merge()).allowed is None, "nothing to try it on"
    await forge.open_pull_request(BRANCH, title="Greet", body="")
    gitea.log.clear()
    for allowed in (True, False):
        gitea.repo.allow_manual_merge = allowed
        gitea.repo.autodetect_manual_merge = not allowed
        marking = await forge.check_manual_merge()
        assert (marking.allowed, marking.autodetected) == (allowed, None if old else not allowed)
    assert gitea.log == []


async def test_the_rights_on_the_default_branch_are_read(gitea: FakeGitea, forge: GiteaForge) -> None:
    free = await forge.fetch_branch_rights()
    assert (free.protected, free.user_can_push, free.user_can_merge) == (False, True, True)
    gitea.repo.protections["main"] = Protection("main", enable_push=True, push_whitelist=("anna",), merge_whitelist=(BOT,))
    held = await forge.fetch_branch_rights()
    assert (held.protected, held.user_can_push, held.user_can_merge) == (True, False, True)


# ------------------------------------------------------------------------------------------------ comments


def comments(gitea: FakeGitea) -> list[tuple[str, str]]:
    return [(comment.user, comment.body) for comment in gitea.repo.comments.values()]


async def test_the_comment_is_edited_in_place_and_written_only_when_it_changes(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    for marker, text in (("orch:status", "running"), ("orch:other", "x"), ("orch:status", "done"), ("orch:status", "done")):
        await forge.keep_comment(pull.number, marker=marker, text=text)
    assert comments(gitea) == [(BOT, "<!-- orch:status -->\ndone"), (BOT, "<!-- orch:other -->\nx")]
    assert [entry[0] for entry in gitea.log] == ["pull request", "comment", "comment", "comment edited"]


async def test_somebody_elses_comment_with_the_marker_is_left_alone(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    gitea.person.comment(pull.number, "<!-- orch:status -->\nmine")
    gitea.somebody(BOT).comment(pull.number, "a quote of <!-- orch:status --> in the middle")
    await forge.keep_comment(pull.number, marker="orch:status", text="running")
    assert len(comments(gitea)) == 3
    assert comments(gitea)[0] == ("anna", "<!-- orch:status -->\nmine")


async def test_the_comment_is_found_on_a_later_page(gitea: FakeGitea, forge: GiteaForge) -> None:
    gitea.page_max, gitea.paged_comments = 3, True
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    for number in range(7):
        gitea.person.comment(pull.number, f"talk {number}")
    await forge.keep_comment(pull.number, marker="orch:status", text="running")
    await forge.keep_comment(pull.number, marker="orch:status", text="done")
    assert comments(gitea)[7:] == [(BOT, "<!-- orch:status -->\ndone")]


async def test_G10_two_that_were_made_at_once_become_one(gitea: FakeGitea, forge: GiteaForge, tmp_path: Path) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    gitea.faults.fail_after("comments.create", SICK)
    with pytest.raises(TransientError):
        await forge.keep_comment(pull.number, marker="orch:status", text="lost")
    await forge.keep_comment(pull.number, marker="orch:status", text="found")
    assert comments(gitea) == [(BOT, "<!-- orch:status -->\nfound")]
    gitea.somebody(BOT).comment(pull.number, "<!-- orch:status -->\nof another daemon")
    await forge.keep_comment(pull.number, marker="orch:status", text="one")
    assert comments(gitea) == [(BOT, "<!-- orch:status -->\none")]
    async with open_forge(gitea, tmp_path / "other", project=SHOP) as other, anyio.create_task_group() as group:
        for each in (forge, other):
            for _ in range(3):
                group.start_soon(_keep, each, pull.number)
    assert comments(gitea) == [(BOT, "<!-- orch:status -->\none"), (BOT, "<!-- orch:race -->\nx")]


async def _keep(forge: GiteaForge, number: int) -> None:
    await forge.keep_comment(number, marker="orch:race", text="x")


async def test_a_comment_that_was_deleted_is_made_again(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    await forge.keep_comment(pull.number, marker="orch:status", text="running")
    gitea.repo.comments.clear()
    await forge.keep_comment(pull.number, marker="orch:status", text="done")
    gitea.faults.fail_next("comments.edit", Refused(404, {"message": "", "url": ""}))
    await forge.keep_comment(pull.number, marker="orch:status", text="more")
    assert ("comment", f"{BOT} #1 more") in gitea.log


async def test_a_marker_cannot_end_its_own_comment(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    for marker in ("x --> y", "--", "", "a\nb"):
        with pytest.raises(PermanentError, match="not a marker"):
            await forge.keep_comment(pull.number, marker=marker, text="x")
    assert comments(gitea) == []


# ------------------------------------------------------------------------------------------------ statuses


async def test_no_status_is_an_empty_list_never_success(gitea: FakeGitea, forge: GiteaForge) -> None:
    assert await forge.fetch_statuses(gitea.person.tip(BRANCH)) == []
    assert await forge.fetch_statuses(sha("f")) == [], "a commit that it does not have"


async def test_the_newest_word_of_each_context_counts_whoever_said_it(gitea: FakeGitea, forge: GiteaForge) -> None:
    gitea.page_max = 2
    head = gitea.person.tip(BRANCH)
    await forge.post_status(CommitStatus(sha=head, context="orch/ci", state=CiState.SUCCESS, description="ok", url="http://x/1"))
    for context, state in (("a", "warning"), ("b", "skipped"), ("c", "passed"), ("d", "error"), ("orch/ci", "failure")):
        gitea.somebody("dev").set_status(head, state, context)
    found = {status.context: status.state for status in await forge.fetch_statuses(head)}
    assert found == {
        "a": CiState.SUCCESS,
        "b": CiState.SUCCESS,
        "c": CiState.PENDING,
        "d": CiState.ERROR,
        "orch/ci": CiState.FAILURE,
    }


async def test_a_status_of_an_unknown_commit_is_told_from_a_sick_server(gitea: FakeGitea, forge: GiteaForge) -> None:
    with pytest.raises(PermanentError, match="has no commit"):
        await forge.post_status(CommitStatus(sha=sha("f"), context="orch/ci", state=CiState.SUCCESS))
    gitea.faults.fail_next("statuses.create", SICK)
    with pytest.raises(TransientError):
        await forge.post_status(CommitStatus(sha=gitea.person.tip(BRANCH), context="orch/ci", state=CiState.SUCCESS))


async def test_a_long_description_is_cut(gitea: FakeGitea, forge: GiteaForge) -> None:
    head = gitea.person.tip(BRANCH)
    await forge.post_status(CommitStatus(sha=head, context="orch/ci", state=CiState.ERROR, description="x" * 5000))
    assert len(gitea.repo.statuses[0].description) == 250


# ------------------------------------------------------------------------------------------------ the hook


async def test_the_hook_is_set_up_once_and_what_the_server_dropped_is_told(gitea: FakeGitea, tmp_path: Path, old: bool) -> None:
    url = "http://orch.example.org/webhook/gitea"
    async with open_forge(gitea, tmp_path / "data", project=SHOP, token=gitea.make_token("anna")) as forge:
        for secret in ("first", "second"):
            assert await forge.ensure_webhook(url, secret) == (("status",) if old else ())
        with pytest.raises(PermanentError, match="not be signed"):
            await forge.ensure_webhook(url, "")
    target = gitea.hooks.targets[0]
    assert (len(gitea.hooks.targets), target.url, target.secret, target.active) == (1, url, "second", True)
    assert set(target.events) == {"push", "create", "delete", "pull_request"} | (set() if old else {"status"})


async def test_a_bot_that_does_not_administer_the_repo_sets_up_no_hook(gitea: FakeGitea, forge: GiteaForge) -> None:
    with pytest.raises(PermanentError, match="admin"):
        await forge.ensure_webhook("http://orch.example.org/webhook/gitea", "secret")


# ------------------------------------------------------------------------------------------------ access and outages


async def test_a_repo_that_the_bot_does_not_see_is_not_one_without_pull_requests(gitea: FakeGitea, forge: GiteaForge) -> None:
    pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
    del gitea.repo.rights[BOT]
    with pytest.raises(PermanentError, match="collaborator"):
        await forge.fetch_pull_request(pull.number)
    with pytest.raises(PermanentError, match="collaborator"):
        await forge.list_pull_requests()
    with pytest.raises(PermanentError, match="collaborator"):
        await forge.fetch_statuses(sha("f"))


async def test_a_token_that_is_refused_or_too_weak_is_named(gitea: FakeGitea, tmp_path: Path) -> None:
    async with open_forge(gitea, tmp_path / "data", project=SHOP, token="f" * 40) as refused:
        with pytest.raises(CredentialRefused, match="ORCH_GITEA_TOKEN") as caught:
            await refused.fetch_pull_request(1)
        assert "f" * 40 not in str(caught.value)
    weak = gitea.make_token(BOT, ("write:repository",))
    gitea.person.open(BRANCH)
    async with open_forge(gitea, tmp_path / "data", project=SHOP, token=weak) as forge:
        with pytest.raises(PermanentError, match="read:user"):
            await forge.keep_comment(1, marker="orch:status", text="x")


async def test_an_outage_is_transient_and_ends(gitea: FakeGitea, forge: GiteaForge) -> None:
    await gitea.go_down()
    with pytest.raises(TransientError, match="no answer"):
        await forge.open_pull_request(BRANCH, title="Greet", body="")
    await gitea.come_back()
    assert (await forge.open_pull_request(BRANCH, title="Greet", body="")).number == 1


async def test_an_answer_that_is_none_is_transient(gitea: FakeGitea, forge: GiteaForge) -> None:
    bodies: list[object] = [[], {}, {"number": 1, "state": "sleeping"}, "<html>"]
    for body in bodies:
        gitea.faults.fail_next("pulls.get", Refused(200, body))
        with pytest.raises(TransientError):
            await forge.fetch_pull_request(1)
        assert await forge.fetch_pull_request(1) is None


async def test_people_are_led_to_the_public_address(gitea: FakeGitea, tmp_path: Path) -> None:
    async with open_forge(gitea, tmp_path / "data", project=SHOP, public_url="https://git.example.org/g") as forge:
        link = forge.web_url(BRANCH, "docs/work-items/SHOP-1/01 brd#1.md")
        assert link == f"https://git.example.org/g/team/shop/src/branch/{BRANCH}/docs/work-items/SHOP-1/01%20brd%231.md"
        pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
        assert pull.url == "https://git.example.org/g/team/shop/pulls/1"


async def test_a_token_that_is_no_word_is_refused_at_the_start(gitea: FakeGitea, tmp_path: Path) -> None:
    for token in (" ", "two words", "line\nline"):
        with pytest.raises(ConfigError, match="ORCH_GITEA_TOKEN"):
            async with open_forge(gitea, tmp_path / "data", project=SHOP, token=token):
                pass
