"""What is switched off, and which tests must go red.

Rule: a mutant names exactly one place in the code (a test holds it to that) and the smallest set of tests that guards it.
"""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """In *file* the text *old* becomes *new*; then one of *tests* fails. *keeps* is the guarantee that it breaks."""

    name: str
    keeps: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        name="fence off: a late result of an older attempt counts",
        keeps="G5",
        file="orch/core/decide_task.py",
        old="if ended.attempt != task.attempt or is_terminal(task.stage) or task.park is not None:",
        new="if is_terminal(task.stage) or task.park is not None:",
        tests=("tests/core/test_decide_task.py", "tests/core/test_line_machine.py"),
    ),
    Mutant(
        name="fence off: the store takes a write of an older attempt",
        keeps="G5",
        file="orch/adapters/store/repos.py",
        old="        self.check_lease(lease)\n        row = self._insert(\n",
        new="        row = self._insert(\n",
        tests=("tests/contract/test_store_repos.py",),
    ),
    Mutant(
        name="dedupe off: an activity entry is handled again",
        keeps="G1",
        file="orch/adapters/store/queues.py",
        old="WHERE NOT EXISTS (SELECT 1 FROM handled WHERE handled.project = ? AND handled.activity = value)",
        new="WHERE ? IS NOT NULL",
        tests=("tests/contract/test_store_queues.py",),
    ),
    Mutant(
        name="one pipeline per issue off",
        keeps="G2",
        file="orch/adapters/store/tasks.py",
        old="if self.live_task(new.project, new.issue) is not None:\n            return None",
        new="if False:\n            return None",
        tests=("tests/contract/test_store_tasks.py",),
    ),
    Mutant(
        name="group kill off: what leaves the tree is not handed to the shim",
        keeps="G5",
        file="orch/adapters/shim.py",
        old="prctl(_PR_SET_CHILD_SUBREAPER, 1)",
        new="prctl(_PR_SET_CHILD_SUBREAPER, 0)",
        tests=("tests/integration/test_process.py",),
    ),
    Mutant(
        name="terminal predicate without cancelled",
        keeps="G5",
        file="orch/core/stages.py",
        old="frozenset({Stage.DONE, Stage.CANCELLED})",
        new="frozenset({Stage.DONE})",
        tests=("tests/core/test_stages.py",),
    ),
    Mutant(
        name="base check off: a candidate is pushed although main was taken back",
        keeps="G3",
        file="orch/adapters/git/mirror.py",
        old="        if tip != candidate.base or tip == candidate.sha:\n",
        new="        if tip == candidate.sha:\n",
        tests=("tests/integration/test_git_push.py", "tests/contract/test_mirror.py"),
    ),
    Mutant(
        name="membership check off: a stopped task lands",
        keeps="G6",
        file="orch/core/decide_repo.py",
        old="if task is None or is_terminal(task.stage) or task.cancel_requested_at is not None:",
        new="if task is None:",
        tests=("tests/core/test_decide_repo.py",),
    ),
    Mutant(
        name="a verdict counts although nobody wrote it",
        keeps="G15",
        file="orch/core/gates.py",
        old="    if evidence.report is None:\n        return _red(gate, ",
        new="    if evidence.report is None:\n        return _green(gate) if gate else _red(gate, ",
        tests=("tests/core/test_gates.py",),
    ),
)
