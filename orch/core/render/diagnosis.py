"""The words of `orch doctor`: a finding → what was found, and what to do.

Rule: plain text for a terminal, one line each, so that a setting can be copied out of it; control characters are gone.
"""

from orch.core.doctor import Finding, Level
from orch.core.render.catalogue import say
from orch.core.render.quote import clean, cut

VALUE_MAX = 600


def render_diagnosis(finding: Finding, language: str) -> tuple[str, str]:
    """Return what was found, and what to do about it (empty when all is well)."""
    values = {name: cut(" ".join(clean(value).split()), VALUE_MAX) for name, value in finding.values.items()}
    found = say(language, f"doctor.{finding.key}", **values)
    return found, "" if finding.level is Level.OK else say(language, f"doctor.{finding.key}.do", **values)
