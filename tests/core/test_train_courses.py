"""The merge train in any course of events: checks end, tasks come and go, main moves, the daemon dies, in any order.

The model is that of the exhaustive search, only larger, and with more that goes wrong.
"""

from hypothesis import given
from hypothesis import strategies as st

from tests.core.train_model import Model
from tests.core.train_world import Place, Shell, State, Story


@st.composite
def stories(draw: st.DrawFn) -> Story:
    tasks = draw(st.integers(1, 7))
    number = st.integers(1, tasks)
    pairs = st.lists(st.tuples(number, number).filter(lambda pair: pair[0] < pair[1]), max_size=2) if tasks > 1 else st.just([])
    broken = {(task, 0) for task in draw(st.sets(number, max_size=3))} | ({(0, 1)} if draw(st.booleans()) else set())
    needs = draw(st.dictionaries(number, number, max_size=2))
    kinds = ["push", "crash", "stop", "repush", "freeze", "fix", "flake", "timeout", "resume"]
    return Story(
        tasks=tasks,
        slots=draw(st.integers(1, 4)),
        broken=frozenset(broken),
        clashing=tuple(draw(pairs)),
        conflicting=tuple(draw(pairs)),
        needs={task: need for task, need in needs.items() if need < task},
        fixes=frozenset(draw(st.sets(number, max_size=1))),
        width=draw(st.sampled_from([None, 1, 2, 4])),
        budget={kind: draw(st.integers(0, 4)) for kind in kinds} | {"unfreeze": 50},
    )


def runs_of(shell: Shell) -> set[tuple[str, tuple[tuple[int, int], ...]]]:
    return {(probe.tree, probe.members) for probe in shell.probes if probe.verdict is None}


def compare(state: State, name: str, following: State) -> None:
    """L2: an enqueue takes nothing from those that run while their base holds, unless it is a fix under a freeze."""
    lost = runs_of(state.shell) - runs_of(following.shell)
    if name.endswith("is queued") and state.shell.seen == following.shell.seen:
        entered = int(name.split()[0])
        assert not lost or (state.shell.frozen and following.shell.jobs[entered - 1].exempt), f"L2: {name} cancels {lost}"


def finish(model: Model, state: State) -> State:
    """Let no more go wrong, and everything that is under way end."""
    state = State(shell=state.shell, budget=(("unfreeze", 2),), main=state.main, alive=state.alive)
    for _ in range(600):
        moves = list(model.moves(state))
        if not moves:
            return state
        state = moves[0][1]()
    raise AssertionError("L1: it never ends")


@given(story=stories(), data=st.data())
def test_S1_to_S11_L1_L2_L4_hold_in_any_course_of_events(story: Story, data: st.DataObject) -> None:
    """The model's own demands are S1 to S11; whatever came before, in the end every task has landed, left or is held."""
    model = Model(story)
    state = model.start()
    entered: list[int] = []
    for _ in range(data.draw(st.integers(0, 60), label="steps")):
        moves = list(model.moves(state))
        if not moves:
            break
        name, go = moves[data.draw(st.integers(0, len(moves) - 1), label="move")]
        following = go()
        compare(state, name, following)
        if name.endswith("is queued"):
            entered.append(int(name.split()[0]))
        state = following
        assert not model.is_stranded(state)
    in_order = [number for number in entered if number in {item for item, _ in state.main} and number not in story.fixes]
    if not story.conflicting and not story.budget["fix"] and not story.budget["resume"]:
        assert in_order == [item for item, _ in state.main if item in in_order], "L4"
    state = finish(model, state)
    waiting = [number for number, job in enumerate(state.shell.jobs, 1) if job.place is Place.QUEUED]
    assert not waiting or state.shell.frozen
