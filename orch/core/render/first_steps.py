"""The words of `orch init`: a step → what it came to, and what is left to a person.

Rule: plain text for a terminal, one line each, so that a setting can be copied out of it; control characters are gone.
"""

from orch.core.first_hour import Outcome, Step
from orch.core.render.catalogue import knows, say
from orch.core.render.quote import clean, cut

VALUE_MAX = 600


def render_step(found: Step, language: str) -> tuple[str, str]:
    """Return what a step came to, and what to do (empty where nothing is left)."""
    values = {name: cut(" ".join(clean(value).split()), VALUE_MAX) for name, value in found.values.items()}
    key = next(each for each in (f"init.{found.key}", f"init.{found.key.rpartition('.')[2]}") if knows(each))
    left = found.outcome in (Outcome.MANUAL, Outcome.FAILED) or knows(f"{key}.do")
    return say(language, key, **values), say(language, f"{key}.do", **values) if left else ""
