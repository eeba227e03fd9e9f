"""Repos in the store: state, freeze, columns, dependencies and their cycles, lease and intents."""

import pytest

from orch.core.errors import LeaseLost
from orch.core.ids import IntentId, IssueId, ProjectName
from orch.core.model import Freeze, FreezeCause, IntentKind, IntentState, Member, MergeLease, Repo
from orch.core.statuses import BoardState
from orch.ports import Store
from tests.builders import DEMO, NOW, add_task, later, make_candidate, sha

OTHER = ProjectName("other")


async def test_a_repos_state_is_fresh_until_it_is_saved(store: Store) -> None:
    assert await store.read(lambda tx: tx.load_repo(DEMO)) == Repo(project=DEMO)
    repo = Repo(project=DEMO, paused=True, main=sha("a"), baseline_at=NOW)
    await store.transact(lambda tx: tx.save_repo(repo))
    assert await store.read(lambda tx: tx.load_repo(DEMO)) == repo
    await store.transact(lambda tx: tx.save_repo(Repo(project=DEMO)))
    assert await store.read(lambda tx: tx.load_repo(DEMO)) == Repo(project=DEMO)


async def test_a_freeze_is_durable_and_saving_the_repo_does_not_lift_it(store: Store) -> None:
    freeze = Freeze(project=DEMO, cause=FreezeCause.RED_MAIN, since=NOW, by="stream", detail="tests fail on main")
    await store.transact(lambda tx: tx.set_freeze(freeze))
    await store.transact(lambda tx: tx.save_repo(Repo(project=DEMO, paused=True)))
    assert (await store.read(lambda tx: tx.load_repo(DEMO))).freeze == freeze
    await store.transact(lambda tx: tx.lift_freeze(DEMO))
    assert (await store.read(lambda tx: tx.load_repo(DEMO))).freeze is None


async def freeze_for(store: Store, cause: FreezeCause) -> None:
    await store.transact(lambda tx: tx.set_freeze(Freeze(project=DEMO, cause=cause, since=NOW, by="x")))


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (FreezeCause.PERSON, FreezeCause.DEPLOY, FreezeCause.PERSON),
        (FreezeCause.DEPLOY, FreezeCause.PERSON, FreezeCause.PERSON),
        (FreezeCause.DEPLOY, FreezeCause.RED_MAIN, FreezeCause.RED_MAIN),
    ],
)
async def test_a_persons_freeze_is_not_taken_over_by_a_machines(
    store: Store, first: FreezeCause, second: FreezeCause, kept: FreezeCause
) -> None:
    for cause in (first, second):
        await freeze_for(store, cause)
    freeze = (await store.read(lambda tx: tx.load_repo(DEMO))).freeze
    assert freeze is not None
    assert freeze.cause is kept


async def test_the_last_good_columns_are_kept_per_project(store: Store) -> None:
    states = [BoardState(id="2", name="To Analyse"), BoardState(id="1", name="Done", group="completed")]
    await store.transact(lambda tx: tx.save_states(DEMO, [BoardState(id="old", name="Old")]))
    await store.transact(lambda tx: tx.save_states(DEMO, states))
    assert await store.read(lambda tx: tx.load_states(DEMO)) == states
    assert await store.read(lambda tx: tx.load_states(OTHER)) == []


# ------------------------------------------------------------------------------------------------ dependencies


async def declare(store: Store, issue: str, on: str) -> list[IssueId] | None:
    return await store.transact(lambda tx: tx.add_dependency(DEMO, IssueId(issue), IssueId(on), NOW))


async def test_dependencies_are_seen_from_both_ends(store: Store) -> None:
    assert [await declare(store, "c", on) for on in ("b", "a", "b")] == [None, None, None]
    assert await store.read(lambda tx: tx.dependencies(DEMO, IssueId("c"))) == ["a", "b"]
    assert await store.read(lambda tx: tx.dependents(DEMO, IssueId("a"))) == ["c"]
    assert await store.read(lambda tx: tx.dependencies(OTHER, IssueId("c"))) == []
    assert await store.transact(lambda tx: tx.remove_dependency(DEMO, IssueId("c"), IssueId("b")))
    assert not await store.transact(lambda tx: tx.remove_dependency(DEMO, IssueId("c"), IssueId("b")))
    assert await store.read(lambda tx: tx.dependencies(DEMO, IssueId("c"))) == ["a"]


@pytest.mark.parametrize(
    ("edges", "last", "cycle"),
    [
        ([], ("a", "a"), ["a", "a"]),
        ([("a", "b")], ("b", "a"), ["b", "a", "b"]),
        ([("a", "b"), ("b", "c"), ("a", "x"), ("x", "y")], ("c", "a"), ["c", "a", "b", "c"]),
        ([("a", "b"), ("b", "c")], ("a", "c"), None),
        ([("a", "b"), ("c", "d")], ("b", "c"), None),
    ],
)
async def test_a_cycle_is_refused_and_named(
    store: Store, edges: list[tuple[str, str]], last: tuple[str, str], cycle: list[str] | None
) -> None:
    for edge in edges:
        assert await declare(store, *edge) is None
    assert await declare(store, *last) == cycle
    kept = await store.read(lambda tx: tx.dependencies(DEMO, IssueId(last[0])))
    assert (last[1] in kept) is (cycle is None)


# ------------------------------------------------------------------------------------------------ lease and intents


async def test_G3_a_lease_that_was_taken_over_is_lost(store: Store) -> None:
    first = await store.transact(lambda tx: tx.take_lease(DEMO, "repo-actor-1"))
    await store.transact(lambda tx: tx.check_lease(first))
    second = await store.transact(lambda tx: tx.take_lease(DEMO, "repo-actor-1"))
    assert second.epoch == first.epoch + 1
    with pytest.raises(LeaseLost, match="epoch 1"):
        await store.transact(lambda tx: tx.check_lease(first))
    with pytest.raises(LeaseLost):
        await store.transact(lambda tx: tx.check_lease(MergeLease(project=DEMO, holder="other", epoch=second.epoch)))
    with pytest.raises(LeaseLost, match="nobody"):
        await store.transact(lambda tx: tx.check_lease(MergeLease(project=OTHER, holder="x", epoch=second.epoch)))


async def test_a_lease_survives_saving_the_repo_and_saves_with_it(store: Store) -> None:
    await store.transact(lambda tx: tx.save_repo(Repo(project=DEMO, paused=True, main=sha("a"))))
    lease = await store.transact(lambda tx: tx.take_lease(DEMO, "x"))
    assert (await store.read(lambda tx: tx.load_repo(DEMO))).main == sha("a")
    await store.transact(lambda tx: tx.save_repo(Repo(project=DEMO)))
    await store.transact(lambda tx: tx.check_lease(lease))


async def test_G10_an_open_intent_is_found_again_whole(store: Store) -> None:
    task = await add_task(store)
    candidate = make_candidate(Member(task=task.row, head=sha("e")))
    lease = await store.transact(lambda tx: tx.take_lease(DEMO, "x"))
    other = await store.transact(lambda tx: tx.take_lease(OTHER, "x"))
    landing = await store.transact(
        lambda tx: tx.add_intent(IntentKind.LAND, lease, candidate=candidate, task=task.row, at=later(1))
    )
    await store.transact(lambda tx: tx.add_intent(IntentKind.LAND, other, candidate=None, task=None, at=NOW))
    assert await store.read(lambda tx: tx.open_intents(DEMO)) == [landing]
    assert landing.candidate == candidate
    assert len(await store.read(lambda tx: tx.open_intents())) == 2
    await store.transact(lambda tx: tx.end_intent(landing.id, IntentState.DONE))
    await store.transact(lambda tx: tx.end_intent(IntentId(landing.id), IntentState.CLEARED))
    assert await store.read(lambda tx: tx.open_intents(DEMO)) == []


async def test_G3_an_intent_under_a_lost_lease_is_not_recorded(store: Store) -> None:
    lost = await store.transact(lambda tx: tx.take_lease(DEMO, "x"))
    await store.transact(lambda tx: tx.take_lease(DEMO, "y"))
    with pytest.raises(LeaseLost):
        await store.transact(lambda tx: tx.add_intent(IntentKind.LAND, lost, candidate=None, task=None, at=NOW))
    assert await store.read(lambda tx: tx.open_intents()) == []
