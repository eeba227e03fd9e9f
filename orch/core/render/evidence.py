"""What a park, a return or a refusal shows as evidence: cards, processes, landings, branches and pull requests.

Owns: one function per thing seen, typed values → text. Texts that stand inside a fence (a park's evidence, a return's) are plain;
comments are Markdown. Rule: pure; names and output are others' words and pass through ``quote`` where they are not fenced later.
"""

from collections.abc import Sequence

from orch.core.ids import Branch, Sha, WorkItemId
from orch.core.model import Survivor, Task
from orch.core.render.catalogue import knows, say
from orch.core.render.figures import short_sha
from orch.core.render.quote import code, cut_middle, inline, plain
from orch.core.stages import is_terminal

OUTPUT_MAX = 8000
FILES_MAX = 50
NAMES_MAX = 20


# ------------------------------------------------------------------------------------------------ cards


def render_card_gone(language: str) -> str:
    """The card of a live task was deleted or archived. Plain."""
    return say(language, "card.gone")


def render_card_closed(by: str, language: str) -> str:
    """A person put the card of a live task into a closed column. Plain."""
    return say(language, "card.closed", by=plain(by, 80))


def render_unexplained(task: Task | None, language: str) -> str:
    """The card stands where nobody is known to have put it; *task* None: no task of it lives."""
    live = task is not None and not is_terminal(task.stage)
    return say(language, "card.unexplained" if live else "card.unexplained_idle")


# ------------------------------------------------------------------------------------------------ processes


def render_survivors(survivors: Sequence[Survivor], language: str) -> str:
    """Processes by id, name and start time, on one line. Plain."""
    shown = [
        say(language, "survivor.name", pid=each.pid, name=plain(each.name, 40) or "?", started=each.started)
        for each in survivors[:NAMES_MAX]
    ]
    more = len(survivors) - len(shown)
    return ", ".join([*shown, say(language, "returned.more", count=more)] if more else shown)


def render_survived(survivors: Sequence[Survivor], language: str) -> str:
    """The evidence of a park: what could not be ended. Plain."""
    return say(language, "survivor.parked", processes=render_survivors(survivors, language))


def render_still_alive(work_item: WorkItemId, survivors: Sequence[Survivor], language: str) -> str:
    """A resume is refused while a process lives on. Plain."""
    return say(language, "survivor.resume", work_item=plain(work_item, 40), processes=render_survivors(survivors, language))


def render_left_behind(work_item: WorkItemId, survivors: Sequence[Survivor], language: str, *, stopped: bool) -> str:
    """A task has ended, by STOP or otherwise, but for these processes."""
    processes = inline(render_survivors(survivors, language), 2000)
    return say(language, "survivor.stopped" if stopped else "survivor.left", work_item=inline(work_item), processes=processes)


# ------------------------------------------------------------------------------------------------ landing


def render_landing_refused(
    kind: str, base: Sha, output: str, files: Sequence[str], culprits: Sequence[WorkItemId], language: str
) -> str:
    """Why the landing sent a task back: the base, the conflict or the tests' output, and who touched the same files. Plain.

    *kind* is ``conflict`` or ``land_red``.
    """
    parts = [say(language, f"landing.{kind}" if knows(f"landing.{kind}") else "landing.land_red", base=base)]
    if files:
        named = [f"- {plain(name, 200)}" for name in files[:FILES_MAX]]
        more = [f"- {say(language, 'returned.more', count=len(files) - FILES_MAX)}"] if len(files) > FILES_MAX else []
        heading = say(language, "landing.conflicting" if kind == "conflict" else "landing.files")
        parts.append("\n".join([heading, *named, *more]))
    if culprits:
        names = ", ".join(plain(name, 60) for name in culprits[:NAMES_MAX])
        parts.append(say(language, "landing.culprits", names=names))
    if output.strip():
        parts.append(f"{say(language, 'landing.output')}\n{cut_middle(output.strip(), OUTPUT_MAX)}")
    return "\n\n".join(parts)


# ------------------------------------------------------------------------------------------------ branches, pull requests


def render_branch_moved(branch: Branch, old: Sha | None, new: Sha, language: str) -> str:
    """A person pushed to a task's branch, on top of what was there."""
    was = code(short_sha(old)) if old is not None else "–"
    return say(language, "branch.moved", branch=code(branch), old=was, new=code(short_sha(new)))


def render_branch_forced(branch: Branch, old: Sha | None, new: Sha | None, language: str) -> str:
    """A person rewrote or removed a task's branch (*new* None). Plain."""
    was = old or "–"
    if new is None:
        return say(language, "branch.gone", branch=plain(branch, 120), old=was)
    return say(language, "branch.forced", branch=plain(branch, 120), old=was, new=new)


def render_pull_closed(number: int, by: str, language: str) -> str:
    """A person closed the pull request of a live task. Plain."""
    return say(language, "pull.closed", number=number, by=plain(by, 80) or "?")


def render_merged_outside(sha: Sha, by: str, language: str) -> str:
    """The history's line for a pull request that somebody else merged. Plain."""
    return say(language, "pull.merged_outside", sha=short_sha(sha), by=plain(by, 80) or "?")
