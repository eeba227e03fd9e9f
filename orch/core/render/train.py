"""What the merge train tells people: why a task in it waits, what parked it, that main itself is red.

Owns: one function per thing told, typed values → plain text. Rule: pure; output and names are others' words.
"""

from collections.abc import Sequence

from orch.core.ids import Sha, WorkItemId
from orch.core.render.catalogue import knows, say
from orch.core.render.figures import short_sha
from orch.core.render.quote import cut_middle, plain

FILES_MAX = 5
OUTPUT_MAX = 4000


def render_held(holder: WorkItemId, files: Sequence[str], language: str) -> str:
    """The task conflicts with one that stands before it in the train."""
    shown = ", ".join(plain(name, 120) for name in files[:FILES_MAX])
    if len(files) > FILES_MAX:
        shown = f"{shown}, {say(language, 'returned.more', count=len(files) - FILES_MAX)}"
    return say(language, "train.held", holder=plain(holder, 60), files=shown or "–")


def render_push_dirty(language: str) -> str:
    """The repository has the default branch checked out, with changes that nobody committed."""
    return say(language, "train.dirty")


def render_push_refused(detail: str, language: str) -> str:
    """The forge refuses the push to the default branch for a reason that stays."""
    return say(language, "train.refused", detail=plain(detail, 600))


def render_unbuildable(detail: str, language: str) -> str:
    """The branch can be put onto nothing."""
    return say(language, "train.unbuildable", detail=plain(detail, 600))


def render_no_verdict(verdict: str, output: str, language: str) -> str:
    """The test command gave no verdict, as often as was tried."""
    key = f"train.no_verdict.{verdict}"
    told = say(language, key if knows(key) else "train.no_verdict.infra")
    return f"{told}\n\n{cut_middle(output.strip(), OUTPUT_MAX)}" if output.strip() else told


def render_red_main(main: Sha, output: str, language: str) -> str:
    """The default branch itself fails its test command."""
    told = say(language, "train.red_main", sha=short_sha(main))
    return f"{told}\n\n{cut_middle(output.strip(), OUTPUT_MAX)}" if output.strip() else told
