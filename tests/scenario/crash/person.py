"""The person of the crash story, who works over HTTP and trusts nothing but an answer.

Owns: what the person wants (three issues, a rejection, a STOP and a new start, approvals), and the ledger of what was accepted.
Rule: whatever was answered 2xx is never asked again, and must be seen; what had no answer is asked again only when the board does
not show it.
"""

from dataclasses import dataclass, field
from typing import Any, final

from orch.core.stages import ORDER, Stage
from orch.core.statuses import DEFAULT_NAMES, Status
from tests.scenario.crash.daemon import Answer, Daemon, StoryError

REASON = "Count per person, not in total."


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One issue. *after* waits for the issue of that title; *by_card* approves by moving the card, else by the API.

    *stop_at*: it is stopped as soon as it is seen at that stage or past it, and started again from nothing.
    """

    title: str
    body: str
    after: str = ""
    reject: bool = False
    by_card: bool = False
    stop_at: str = ""


FIRST = Wish(
    title="Write the first part",
    body="[draft first] The first part is written, then looked at closely.",
    reject=True,
    by_card=True,
)
SECOND = Wish(title="Write the second part", body="The second part builds on the first one.\n\nneeds: {after}", after=FIRST.title)
THIRD = Wish(title="Write a part, then again", body="Nobody wanted this one yet; somebody will.", stop_at="review")
STORY = (FIRST, SECOND, THIRD)


@final
@dataclass(slots=True)
class Person:
    """Takes one step at a time; ``done`` when every wish has come true. *accepted* is the ledger: what was answered 2xx."""

    wishes: tuple[Wish, ...] = STORY
    accepted: list[tuple[str, ...]] = field(default_factory=list)
    unanswered: int = 0
    refused: list[str] = field(default_factory=list)
    stages: dict[str, str] = field(default_factory=dict)

    def step(self, daemon: Daemon) -> bool:
        """Look at the board and do the next thing; True when everything is done."""
        seen = daemon.ask("GET", "/tasks")
        if not seen.good:
            return False
        issues = {str(issue["title"]): issue for issue in seen.body["issues"]}
        tasks = {str(task["issue"]): task for task in seen.body["tasks"] if task["stage"] != "cancelled"}
        self.stages = {title: str(tasks[issues[title]["id"]]["stage"]) for title in issues if issues[title]["id"] in tasks}
        for wish in self.wishes:
            issue = issues.get(wish.title)
            if issue is None:
                self._create(daemon, wish, issues)
                return False
            if not self._is_entered(daemon, wish, issue, issues, tasks.get(str(issue["id"]))):
                return False
        for wish in self.wishes:
            issue, task = issues[wish.title], tasks[issues[wish.title]["id"]]
            if self._is_to_stop(daemon, wish, str(issue["id"]), task):
                continue
            if task["parked"]:
                raise StoryError(f"{task['id']} is parked: {task['parked']}")
            if task["awaiting"] == "approval" and issue["status"] == "in_review":
                self._decide(daemon, wish, str(issue["id"]), task)
            if task["awaiting"] == "confirm" and issue["status"] == "awaiting_deploy":
                self._confirm(daemon, wish, str(issue["id"]), task)
        return all(self.stages.get(wish.title) == "done" for wish in self.wishes) and _is_told(daemon)

    # -------------------------------------------------------------------------------------------- wishes

    def _create(self, daemon: Daemon, wish: Wish, issues: dict[str, Any]) -> None:
        if any(line[:2] == ("create", wish.title) for line in self.accepted):
            raise StoryError(f"lost: the issue {wish.title!r} was accepted and is not on the board")
        after = issues[wish.after]["id"] if wish.after else ""
        answer = self._send(daemon, "/board/issues", title=wish.title, body=wish.body.format(after=after))
        if answer.good:
            self.accepted.append(("create", wish.title, str(answer.body["id"])))

    def _is_entered(self, daemon: Daemon, wish: Wish, issue: Any, issues: Any, task: Any) -> bool:
        """See to it that the issue waits for its predecessor and has entered the line."""
        key = str(issue["id"])
        if wish.after and not self._is_declared(daemon, key, str(issues[wish.after]["id"])):
            return False
        if task is not None:
            return True
        card = daemon.ask("GET", f"/board/issues/{key}")
        if card.good:
            again = bool(wish.stop_at) and _moves(card, "stop") > 0
            self._move(daemon, key, "to_analyse", card, times=2 if again else 1)
        return False

    def _is_to_stop(self, daemon: Daemon, wish: Wish, key: str, task: Any) -> bool:
        """Stop what is to be stopped once it has come far enough; say whether that is still to come or just happened."""
        if not wish.stop_at or ORDER.index(Stage(task["stage"])) < ORDER.index(Stage(wish.stop_at)):
            return False
        card = daemon.ask("GET", f"/board/issues/{key}")
        if not card.good or _moves(card, "stop"):
            return not card.good
        self._move(daemon, key, "stop", card)
        return True

    def _is_declared(self, daemon: Daemon, key: str, on: str) -> bool:
        seen = daemon.ask("GET", "/deps")
        if not seen.good:
            return False
        if any((dep["issue"], dep["on"]) == (key, on) for dep in seen.body["deps"]):
            return True
        if ("depend", key, on) in self.accepted:
            raise StoryError(f"lost: that {key} waits for {on} was accepted")
        if self._send(daemon, "/deps", issue=key, on=on).good:
            self.accepted.append(("depend", key, on))
        return False

    # -------------------------------------------------------------------------------------------- decisions

    def _decide(self, daemon: Daemon, wish: Wish, key: str, task: Any) -> None:
        """Reject the first plan where that is wished, approve otherwise."""
        card = daemon.ask("GET", f"/board/issues/{key}")
        if not card.good:
            return
        if wish.reject and not _moves(card, "rejected"):
            if self._commented(daemon, key, card):
                self._move(daemon, key, "rejected", card)
        elif wish.by_card:
            self._move(daemon, key, "approved", card)
        else:
            self._approve(daemon, task)

    def _confirm(self, daemon: Daemon, wish: Wish, key: str, task: Any) -> None:
        """Confirm the deploy of what is shown; an answer that never came is found out by what the task awaits."""
        if wish.by_card:
            self._move(daemon, key, "confirm_deploy")
            return
        line = ("confirm", key, str(task["shown"]))
        if line in self.accepted:
            raise StoryError(f"lost: the confirm of {task['id']} was accepted")
        if self._send(daemon, f"/tasks/{task['id']}/confirm-deploy", shown=task["shown"]).good:
            self.accepted.append(line)

    def _approve(self, daemon: Daemon, task: Any) -> None:
        line = ("approve", str(task["issue"]), str(task["shown"]))
        if line in self.accepted:
            raise StoryError(f"lost: the approval of {task['id']} was accepted")
        if self._send(daemon, f"/tasks/{task['id']}/approve", shown=task["shown"]).good:
            self.accepted.append(line)

    def _commented(self, daemon: Daemon, key: str, card: Answer) -> bool:
        if any(comment["text"] == REASON for comment in card.body["comments"]):
            return True
        if ("comment", key, REASON) in self.accepted:
            raise StoryError(f"lost: the comment on {key} was accepted")
        if self._send(daemon, f"/board/issues/{key}/comments", text=REASON).good:
            self.accepted.append(("comment", key, REASON))
        return False

    def _move(self, daemon: Daemon, key: str, status: str, card: Answer | None = None, *, times: int = 1) -> None:
        """Move the card unless the board shows that it was moved there *times* times."""
        card = card or daemon.ask("GET", f"/board/issues/{key}")
        if not card.good or _moves(card, status) >= times:
            return
        line = ("move", key, status)
        if self.accepted.count(line) >= times:
            raise StoryError(f"lost: the move of {key} to {status} was accepted and the board does not show it")
        if self._send(daemon, f"/board/issues/{key}/move", status=status).good:
            self.accepted.append(line)

    def _send(self, daemon: Daemon, path: str, **body: str) -> Answer:
        answer = daemon.ask("POST", path, body)
        if answer.status == 0:
            self.unanswered += 1
        elif not answer.good:
            self.refused.append(f"{path}: {answer.status} {answer.body.get('detail', '')}")
        return answer


def _is_told(daemon: Daemon) -> bool:
    """Say whether everything that the line has decided to tell the world was told."""
    queue = daemon.ask("GET", "/queue")
    return queue.good and not queue.body["outbox"]["pending"]


def _moves(card: Answer, status: str) -> int:
    """Count a person's moves of the card; a board that nobody has read yet shows keys in the place of names."""
    names = {status, DEFAULT_NAMES[Status(status)]}
    return sum(entry["to"] in names and not entry["ours"] for entry in card.body["activity"])
