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
        file="orch/core/decide_run.py",
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
        name="sandbox off: what asks for it is started outside",
        keeps="G13",
        file="orch/adapters/process.py",
        old="if sandbox is not None and spec.sandbox is not None:",
        new="if sandbox is not None and spec.sandbox is not None and not spec.argv:",
        tests=("tests/integration/test_sandbox_policy.py",),
    ),
    Mutant(
        name="sandbox: what is shown around the data directory shows it too",
        keeps="G13",
        file="orch/adapters/sandbox.py",
        old="for real in (path.resolve() for path in (self._data_dir, *self._hide)):",
        new="for real in (path.resolve() for path in self._hide):",
        tests=("tests/integration/test_sandbox_policy.py",),
    ),
    Mutant(
        name="sandbox: a link in a working copy shows what it leads to",
        keeps="G13",
        file="orch/adapters/sandbox.py",
        old="toolchain_of(spec.argv[0], path=path, untrusted=access.write)",
        new="toolchain_of(spec.argv[0], path=path)",
        tests=("tests/integration/test_sandbox_policy.py",),
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
        file="orch/adapters/git/pre_push.py",
        old="|| {{ echo ",
        new="|| true || {{ echo ",
        tests=("tests/integration/test_git_main_push.py", "tests/contract/test_mirror.py"),
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
    Mutant(
        name="status written over a person's unhandled move",
        keeps="G8",
        file="orch/core/board_write.py",
        old="if any(not entry.ours and is_move(entry) and entry.id in card.unhandled for entry in card.entries):",
        new="if not card:",
        tests=("tests/core/test_board_write.py",),
    ),
    Mutant(
        name="a result with conflict markers is taken over",
        keeps="G3",
        file="orch/adapters/git/rework.py",
        old="        if not marked:\n            return None\n",
        new="        return None\n",
        tests=("tests/integration/test_git_rework.py",),
    ),
    Mutant(
        name="a forced push of a person's is built upon as if it were on top",
        keeps="G4",
        file="orch/adapters/git/result_push.py",
        old="if spec.head is None or not await self._mirror.contains(spec.head, found):",
        new="if spec.head is None:",
        tests=("tests/integration/test_git_workspace.py",),
    ),
    Mutant(
        name="train: one red run ejects",
        keeps="S6",
        file="orch/core/train_facts.py",
        old="REDS = 2\n",
        new="REDS = 1\n",
        tests=("tests/core/test_train.py",),
    ),
    Mutant(
        name="train: it lands under a freeze",
        keeps="S8",
        file="orch/core/train.py",
        old="and (not self.facts.frozen or self.is_exempt(p)))",
        new="and (not self.facts.frozen or p))",
        tests=("tests/core/test_train.py",),
    ),
    Mutant(
        name="train: an ejection needs no green main",
        keeps="S6",
        file="orch/core/train.py",
        old="elif convicted and base.green is not None:",
        new="elif convicted:",
        tests=("tests/core/test_train.py",),
    ),
    Mutant(
        name="train: a fix goes before what is under test",
        keeps="L2",
        file="orch/core/train.py",
        old="order = dict.fromkeys([*head, *running, *fixes, *staying])",
        new="order = dict.fromkeys([*head, *fixes, *running, *staying])",
        tests=("tests/core/test_train_courses.py",),
    ),
    Mutant(
        name="verdict check off: a candidate lands on a verdict of other commands",
        keeps="G3",
        file="actors/landing.py",
        old="        if not _is_green(tx, candidate, environment_now(room)):\n",
        new="        if False:\n",
        tests=("tests/actors/test_train.py",),
    ),
    Mutant(
        name="window off: a STOP of any but the first member does not wait for the landing",
        keeps="G6",
        file="actors/decisions.py",
        old="    return task.row in landing_members(tx.open_intents(task.project))\n",
        new="    return any(intent.task == task.row for intent in tx.open_intents(task.project))\n",
        tests=("tests/actors/test_train_stop.py",),
    ),
    Mutant(
        name="nested prefixes off: a candidate depends on the day on which it is built",
        keeps="G3",
        file="orch/adapters/git/candidate.py",
        old="identity.email, datetime.fromtimestamp(at, UTC))",
        new="identity.email, datetime.now(UTC))",
        tests=("tests/integration/test_git_candidates.py",),
    ),
    Mutant(
        name="budget off: a task at its limit is claimed",
        keeps="G16",
        file="orch/adapters/store/jobs.py",
        old="        budget = limits.budget_task_usd is not None\n",
        new="        budget = False\n",
        tests=("tests/contract/test_store_budgets.py",),
    ),
    Mutant(
        name="budget off: the day's limit holds up no claim",
        keeps="G16",
        file="orch/adapters/store/jobs.py",
        old="        spent = limits.budget_day_usd is not None and self._day(limits, now).is_spent\n",
        new="        spent = False\n",
        tests=("tests/contract/test_store_budgets.py",),
    ),
    Mutant(
        name="budget off: a run in flight is not ended",
        keeps="G16",
        file="actors/metering.py",
        old="        over = await self._world.store.read(lambda tx: self._budgets(tx).overrun())\n",
        new="        over = None\n",
        tests=("tests/actors/test_budget.py",),
    ),
    Mutant(
        name="budget off: a resumed session is charged whole",
        keeps="G16",
        file="orch/core/budget.py",
        old="    return total_usd if total_usd < before_usd else total_usd - before_usd\n",
        new="    return total_usd\n",
        tests=("tests/core/test_budget.py",),
    ),
)
