"""Every state that a story of the landing protocol can get into, breadth first: the shortest way to a violation, or none."""

from collections import deque
from dataclasses import dataclass, replace

from tests.core.train_model import Model
from tests.core.train_world import Safeguards, State, Story, Violation, demand


@dataclass(frozen=True, slots=True)
class Explored:
    """*states* is how many there are. *broken* is the first invariant that does not hold, *trace* the shortest way there."""

    states: int
    broken: str = ""
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.broken:
            return f"{self.states} states, no violation"
        steps = "\n".join(f"  {number}. {step}" for number, step in enumerate(self.trace, 1))
        return f"{self.broken}, after\n{steps}"


def explore(story: Story, safeguards: Safeguards | None = None) -> Explored:
    """Look at every state of *story*, and at every move from it."""
    model = Model(story, safeguards)
    start = model.start()
    came_from: dict[State, tuple[State, str] | None] = {start: None}
    todo = deque([start])
    while todo:
        state, name = todo.popleft(), ""
        try:
            demand(not model.is_stranded(state), "L1: tasks wait and nothing is under way")
            for name, go in model.moves(state):
                following = go()
                if following not in came_from:
                    came_from[following] = (state, name)
                    todo.append(following)
        except Violation as violation:
            return Explored(len(came_from), str(violation), (*_way(came_from, state), *([name] if name else [])))
    return Explored(len(came_from))


def _way(came_from: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    steps = []
    while (step := came_from[state]) is not None:
        state, name = step
        steps.append(name)
    return tuple(reversed(steps))


def without(name: str) -> Safeguards:
    """Return the safeguards with one of them switched off."""
    return replace(Safeguards(), **{name: False})
