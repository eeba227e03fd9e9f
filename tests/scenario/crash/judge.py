"""The judge of the crash story: looks at what is left when the daemon has gone, in git, in the database, in ``/proc``.

Owns: what must be true however often the daemon died. Rule: it asks nothing of the daemon, and believes the ledger of what was
accepted more than the database.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, final

from orch.adapters import orphans
from orch.adapters.process import namespace_of
from orch.adapters.store import INTERRUPTED
from tests.scenario.crash.daemon import Place, repo_of
from tests.scenario.crash.person import REASON, Person, Wish

SLOTS = 2
JOBS = {
    True: {
        ("analysis", "analyst"): 2,
        ("architecture", "architect"): 1,
        ("development", "developer"): 2,
        ("review", "reviewer"): 2,
        ("testing", "tester"): 1,
    },
    False: {
        ("analysis", "analyst"): 1,
        ("architecture", "architect"): 1,
        ("development", "developer"): 1,
        ("review", "reviewer"): 1,
        ("testing", "tester"): 1,
    },
}
"""What a task takes, by whether its first plan is rejected and its first draft sent back: a crash adds no job to it."""

TABLES = (
    *("task", "transition", "job", "run", "inbox", "outbox", "intent", "deploy"),
    *("local_issue", "local_activity", "local_comment", "local_pull"),
)


@final
class Judge:
    """Reads everything once; ``faults`` lists what is wrong, one sentence each. *deaths* is how often the daemon died."""

    def __init__(self, place: Place, person: Person, *, deaths: int, restored: bool = False) -> None:
        self._place, self._person, self._deaths, self._restored = place, person, deaths, restored
        self._repo = repo_of(place)
        with closing(sqlite3.connect(f"{(place.data / 'orch.db').as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            self._tables = {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in TABLES}
            handled = connection.execute("SELECT activity FROM handled").fetchall()
            self._handled = {row["activity"] for row in handled}
            self._depends = [tuple(row) for row in connection.execute("SELECT issue, on_issue FROM dependency")]

    def faults(self) -> list[str]:
        parts = (
            self._ledger,
            self._tasks,
            self._stops,
            self._main,
            self._pulls,
            self._jobs,
            self._queues,
            self._comments,
            self._deploys,
            self._world,
        )
        return [fault for part in parts for fault in part()]

    # -------------------------------------------------------------------------------------------- what was accepted

    def _ledger(self) -> Iterator[str]:
        """Every accepted event is there, once, and was handled."""
        issues, moves = self._tables["local_issue"], self._tables["local_activity"]
        for line in self._person.accepted:
            match line:
                case ("create", title, key):
                    found = [issue["id"] for issue in issues if issue["title"] == title]
                    if found != [key]:
                        yield f"the issue {title!r} was accepted as {key} and is {found}"
                case ("depend", key, on):
                    if self._depends.count((key, on)) != 1:
                        yield f"the dependency of {key} on {on} was accepted and is lost"
                case ("move", key, status):
                    made = [m["id"] for m in moves if (m["issue"], m["target"], m["ours"]) == (key, status, 0)]
                    if len(made) < self._person.accepted.count(line) or not self._handled.issuperset(made):
                        yield f"the move of {key} to {status} was accepted: made {made}, handled {self._handled & set(made)}"
                case ("comment", key, text):
                    texts = [c["text"] for c in self._tables["local_comment"] if c["issue"] == key and not c["ours"]]
                    if texts.count(text) != 1:
                        yield f"the comment on {key} was accepted and is there {texts.count(text)} times"
                case ("approve", key, shown):
                    told = self._told(key, "approved")
                    if told.count(shown[:12]) != 1:
                        yield f"the approval of {key} at {shown[:7]} was accepted; approvals in its history: {told}"
                case ("confirm", key, shown):
                    told = self._told(key, "deploy-confirmed")
                    if told.count(shown[:12]) != 1:
                        yield f"the confirm of {key} at {shown[:7]} was accepted; confirms in its history: {told}"
                case _:
                    yield f"the ledger has a line that nobody can judge: {line}"

    def _told(self, issue: str, cause: str) -> list[str]:
        """Return what was decided about the issue's tasks, as their history tells it."""
        rows = {task["row"] for task in self._tables["task"] if task["issue_base"] == issue}
        return [line["detail"] for line in self._tables["transition"] if line["task"] in rows and line["cause"] == cause]

    def _kept(self) -> list[dict[str, Any]]:
        """Return the tasks that were not stopped."""
        return [task for task in self._tables["task"] if task["stage"] != "cancelled"]

    def _stopped(self) -> list[dict[str, Any]]:
        return [task for task in self._tables["task"] if task["stage"] == "cancelled"]

    def _causes(self, row: int) -> Counter[str]:
        return Counter(line["cause"] for line in self._tables["transition"] if line["task"] == row)

    def _wish(self, task: dict[str, Any]) -> Wish:
        return next(wish for wish in self._person.wishes if wish.title == task["title"])

    # -------------------------------------------------------------------------------------------- tasks and jobs

    def _tasks(self) -> Iterator[str]:
        """One task per issue, done, and every decision in its history once."""
        titles = sorted(task["title"] for task in self._kept())
        if titles != sorted(wish.title for wish in self._person.wishes):
            yield f"the tasks are {titles}"
        if len(self._tables["local_issue"]) != len(self._person.wishes):
            yield f"the board has {len(self._tables['local_issue'])} issues"
        for task in self._kept():
            causes, wish = self._causes(task["row"]), self._wish(task)
            if (task["stage"], task["park_reason"]) != ("done", None):
                yield f"{task['work_item']} is at {task['stage']}, parked: {task['park_reason']}"
            wanted = {"started": 1, "approved": 1, "rejected": int(wish.reject), "review": int(wish.reject), "landed": 1}
            told = {cause: causes[cause] for cause in wanted}
            if told != wanted:
                yield f"{task['work_item']}: its history tells {told}, not {wanted}"

    def _stops(self) -> Iterator[str]:
        """What was stopped is stopped once, whole, kept in the mirror, and out of the way of its successor."""
        for task in self._stopped():
            name, causes = task["work_item"], self._causes(task["row"])
            if not self._wish(task).stop_at:
                yield f"{name} was stopped by nobody"
            if (causes["stopped"], task["swept"]) != (1, 1):
                yield f"{name}: stopped {causes['stopped']} times, cleaned up: {task['swept']}"
            names = (task["issue"], name, task["branch"])
            if not all("#cancelled-" in each for each in names):
                yield f"{name}: its names are still {names}"
            if causes["landed"] != int(task["landed"] is not None):
                yield f"{name}: landed as {task['landed']}, its history tells {causes['landed']} landings"
            late = [
                run["id"] for run in self._tables["run"] if run["task"] == task["row"] and run["started_at"] > task["finished_at"]
            ]
            if late:
                yield f"{name}: these runs were begun after its end: {late}"
            jobs = Counter(job["state"] for job in self._tables["job"] if job["task"] == task["row"])
            if jobs["queued"] or jobs["running"]:
                yield f"{name}: its jobs are {dict(jobs)}"
        for number in Counter(task["issue_base"] for task in self._stopped()).values():
            if number > 1:
                yield f"a task was stopped {number} times"

    def _jobs(self) -> Iterator[str]:
        """No job is left or was begun anew: a run that was cut off goes on as a continuation of the same job."""
        runs = [run for run in self._tables["run"] if run["kind"] == "agent"]
        for task in self._kept():
            jobs = [job for job in self._tables["job"] if job["task"] == task["row"]]
            made = Counter((job["stage"], job["role"]) for job in jobs)
            if dict(made) != JOBS[self._wish(task).reject]:
                yield f"{task['work_item']}: its jobs are {dict(made)}"
        for job in self._tables["job"]:
            mine = [run for run in runs if run["job"] == job["id"]]
            cut_off = [run for run in mine if run["detail"] == INTERRUPTED]
            if job["task"] in {task["row"] for task in self._stopped()}:
                continue
            if job["state"] != "done":
                yield f"job {job['id']} ({job['role']}) is {job['state']}"
            if [run["outcome"] for run in mine if run not in cut_off] != ["succeeded"]:
                yield f"job {job['id']} ({job['role']}) ran as {[(run['outcome'], run['detail']) for run in mine]}"
            if any(run["start_head"] for run in cut_off) and job["mode"] != "continuation":
                yield f"job {job['id']} ({job['role']}) was cut off and went on as {job['mode']}"
        cut_off = [run for run in runs if run["detail"] == INTERRUPTED]
        if len(cut_off) > self._deaths * SLOTS:
            yield f"{self._deaths} deaths cut off {len(cut_off)} runs"
        open_runs = [run["id"] for run in self._tables["run"] if run["outcome"] is None]
        if open_runs:
            yield f"these runs never ended: {open_runs}"

    # -------------------------------------------------------------------------------------------- git

    def _main(self) -> Iterator[str]:
        """Main only went forward, once per task, and each of its values is whole."""
        lines = (self._place.repo / "logs" / "refs" / "heads" / "main").read_text(encoding="utf-8").splitlines()
        moves = [tuple(line.split(" ")[:2]) for line in lines]
        values = [new for _, new in moves]
        if any(old != before for (old, _), before in zip(moves[1:], values, strict=False)):
            yield f"main's log has a gap: {moves}"
        for before, after in pairwise(values):
            if self._repo.git("merge-base", before, after, check=False) != before:
                yield f"main was taken back from {before[:7]} to {after[:7]}"
        landings = [candidate["sha"] for candidate in self._landings()]
        if sorted(values[1:]) != sorted(landings) and not self._restored:
            yield f"main was moved to {[v[:7] for v in values[1:]]}; the landings are {[sha[:7] for sha in landings]}"
        for task in self._tables["task"]:
            sha = task["landed"]
            if sha is not None and self._repo.git("merge-base", sha, values[-1], check=False) != sha:
                yield f"{task['work_item']} landed as {sha[:7]}, which is not in main"
        if self._repo.tip("refs/heads/main") != values[-1]:
            yield "main is not where its log says"
        yield from (fault for value in values for fault in self._value(value))
        yield from self._content(values[-1])

    def _value(self, sha: str) -> Iterator[str]:
        """Test one value of main from scratch."""
        with tempfile.TemporaryDirectory() as fresh:
            packed = subprocess.run(["git", "archive", sha], cwd=self._place.repo, capture_output=True, check=True)
            subprocess.run(["tar", "-x", "-C", fresh], input=packed.stdout, check=True)
            command = [sys.executable, "-I", "-S", "check.py"]
            tested = subprocess.run(command, cwd=fresh, capture_output=True, text=True, check=False)
            if tested.returncode:
                yield f"main at {sha[:7]} fails its test: {tested.stderr.strip()}"
            drafts = [part.stem for part in Path(fresh).glob("parts/*.txt") if "state: final" not in part.read_text("utf-8")]
            if drafts:
                yield f"main at {sha[:7]} holds drafts that the reviewer had sent back: {drafts}"

    def _content(self, tip: str) -> Iterator[str]:
        tree = self._repo.tree(tip)
        for task in self._kept():
            plan = tree.get(f"docs/work-items/{task['work_item']}/01-brd.md", "")
            wanted = "the second plan" if self._wish(task).reject else "the first plan"
            if wanted not in plan or f"parts/{task['work_item']}.txt" not in tree:
                yield f"main lacks the work of {task['work_item']}, or holds another plan than was approved"

    def _pulls(self) -> Iterator[str]:
        """One pull request per task, merged as what landed; no task branch is left; every good run is archived."""
        wanted: list[tuple[str, int, str, str | None]] = []
        for task in self._tables["task"]:
            if task["pr_number"] is not None or task["stage"] != "cancelled":
                state = "closed" if task["landed"] is None else "merged"
                wanted.append((task["branch_base"], task["pr_number"], state, task["landed"]))
        pulls = [(p["branch"], p["number"], p["state"], p["merged"]) for p in self._tables["local_pull"]]
        if sorted(pulls) != sorted(wanted):
            yield f"the pull requests are {pulls}, not {wanted}"
        heads = self._repo.git("for-each-ref", "--format=%(refname)", "refs/heads/").splitlines()
        if heads != ["refs/heads/main"]:
            yield f"branches are left: {heads}"
        mirror = self._place.data / "projects" / "crash" / "mirror.git"
        kept = self._repo.git(f"--git-dir={mirror}", "for-each-ref", "--format=%(objectname)", "refs/orch/archive/").splitlines()
        for run in self._tables["run"]:
            if run["kind"] == "agent" and run["outcome"] == "succeeded" and run["archive"] not in kept:
                yield f"run {run['id']} ({run['role']}) is archived as {run['archive']}, which is not kept"

    # -------------------------------------------------------------------------------------------- queues and the world

    def _queues(self) -> Iterator[str]:
        for name in ("inbox", "outbox"):
            left = [(row["id"], row["state"], row["error"]) for row in self._tables[name] if row["state"] not in ("done", "void")]
            if left:
                yield f"the {name} has {left}"
        landed = Counter(row for candidate in self._landings() for row, _ in candidate["members"])
        for task in self._tables["task"]:
            if landed[task["row"]] != int(task["landed"] is not None) and not self._restored:
                yield f"{task['work_item']} is a member of {landed[task['row']]} landings, and landed as {task['landed']}"
        left = [intent["id"] for intent in self._tables["intent"] if intent["state"] == "open"]
        if left:
            yield f"these intents are open: {left}"

    def _landings(self) -> list[dict[str, Any]]:
        """Return the candidates that landed."""
        done = [intent for intent in self._tables["intent"] if (intent["kind"], intent["state"]) == ("land", "done")]
        return [json.loads(intent["candidate"]) for intent in done]

    # -------------------------------------------------------------------------------------------- deploys

    def _deploys(self) -> Iterator[str]:
        """Each deploy was executed once and to its end, one after the other, never backwards; what is done is deployed."""
        rows = sorted(self._tables["deploy"], key=lambda row: int(row["id"]))
        wrong = [(row["id"], row["state"], row["detail"]) for row in rows if row["state"] != "succeeded"]
        if wrong:
            yield f"these deploys did not succeed: {wrong}"
        if "deploy = " not in self._place.config.read_text(encoding="utf-8"):
            return
        witness = self._place.witness / "deploys"
        said = witness.read_text(encoding="utf-8").splitlines() if witness.exists() else []
        shas = [str(row["sha"]) for row in rows]
        wanted = [f"{word} {sha}" for sha in shas for word in ("begins", "ends")]
        if [" ".join(line.split(" ")[:2]) for line in said] != wanted and not self._restored:
            yield f"the deploys are {[sha[:7] for sha in shas]}; what was executed: {said}"
        for before, after in pairwise(shas):
            if self._repo.git("merge-base", before, after, check=False) != before:
                yield f"{after[:7]} was deployed after {before[:7]}"
        for task in self._kept():
            if not any(self._repo.git("merge-base", task["landed"], sha, check=False) == task["landed"] for sha in shas):
                yield f"{task['work_item']} is done and was never deployed"

    def _comments(self) -> Iterator[str]:
        """What the outbox calls delivered stands on the board, once."""
        posted = Counter((comment["issue"], comment["key"]) for comment in self._tables["local_comment"] if comment["ours"])
        doubled = [key for key, times in posted.items() if times > 1]
        if doubled:
            yield f"these comments stand there more than once: {doubled}"
        wanted = [row for row in self._tables["outbox"] if row["kind"] == "Comment" and row["state"] == "done"]
        if len(posted) != len(wanted):
            yield f"{len(wanted)} comments were delivered, {len(posted)} stand on the board"
        reasons = [comment for comment in self._tables["local_comment"] if comment["text"] == REASON]
        if len(reasons) != sum(wish.reject for wish in self._person.wishes):
            yield f"the reason stands there {len(reasons)} times"

    def _world(self) -> Iterator[str]:
        """No process of any life is left, and no two agents of one task ever met."""
        prefix = f"{namespace_of(self._place.data)}/"
        left = orphans.find(lambda label: label.startswith(prefix))
        if left:
            yield f"processes are left: {left}"
        violations = self._place.witness / "violations"
        if violations.exists():
            yield violations.read_text(encoding="utf-8").strip()
