"""Prompts: a Jinja template per role becomes the text that an agent is given.

Owns: where templates are found (an operator's folder first, then those that ship with Orch) and how text that people,
boards and agents wrote is quoted.
Does not own: the templates' words (``config/prompts/<role>.md``), or what goes into a context.
Rule: whatever the daemon did not write itself stands inside a fence that it cannot close, with its control characters
gone and its length bounded. A template that names an unknown variable is a ConfigError, before any agent runs.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

import orch
from orch.core.errors import ConfigError
from orch.core.model import BoardComment, Finding
from orch.core.stages import Role
from orch.logs import redact
from orch.ports import PromptContext

TEXT_MAX = 60_000
"""Characters of one quoted block; the rest is cut, and the block says so."""
LINE_MAX = 500
LANGUAGES: Mapping[str, str] = {"en": "English", "ru": "Russian"}

_BACKTICKS = re.compile(r"`+")
_INVISIBLE = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
"""Marks that change how a text reads without being seen: directions, zero widths, tag characters."""
_KNOWN = frozenset(field.name for field in fields(PromptContext)) | {"language_name"}


def shipped_prompts() -> Path:
    """Return the folder of the templates that ship with Orch: inside the installed package, or beside it in a checkout."""
    package = Path(orch.__file__).parent
    for folder in (package / "prompts", package.parent / "config" / "prompts"):
        if folder.is_dir():
            return folder
    raise ConfigError(f"the prompt templates are missing from {package}; install Orch again")


class JinjaPrompts:
    """Renders prompts. Templates of *overrides* go before the shipped ones of the same name; reading is per call, so an
    edited template counts from the next run on."""

    def __init__(self, overrides: Path | None = None) -> None:
        if overrides is not None and not overrides.is_dir():
            raise ConfigError(f"prompts_dir: {overrides} is not a folder; make it, or unset the setting")
        folders = [shipped_prompts()] if overrides is None else [overrides, shipped_prompts()]
        self._environment = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters |= {
            "untrusted": quote_untrusted,
            "conversation": render_comments,
            "findings": render_findings,
            "one_line": one_line,
        }

    def check(self) -> None:
        """Raise ConfigError unless every role that runs an agent has a template that can be read and knows its variables."""
        for role in Role:
            if role is not Role.STREAM:
                self._check_template(_template_name(role))

    def render(self, context: PromptContext) -> str:
        """Return the prompt's text; raises ConfigError when a template names an unknown variable."""
        name = _template_name(context.role)
        self._check_template(name)
        values = {field.name: getattr(context, field.name) for field in fields(context)}
        values["language_name"] = LANGUAGES.get(context.language, context.language)
        try:
            return redact(self._environment.get_template(name).render(values))
        except (TemplateError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise ConfigError(f"prompt template {name}: {one_line(str(error))}; correct the template") from error

    def _check_template(self, name: str) -> None:
        """Check *name* and whatever it includes for variables that do not exist."""
        loader, waiting, seen = self._environment.loader, [name], set[str]()
        while waiting:
            current = waiting.pop()
            if current in seen or loader is None:
                continue
            seen.add(current)
            try:
                source, _, _ = loader.get_source(self._environment, current)
                parsed = self._environment.parse(source, name=current)
            except TemplateNotFound:
                raise ConfigError(f"prompt template {current} is missing; put it into prompts_dir") from None
            except TemplateSyntaxError as error:
                text = one_line(error.message or "syntax error")
                raise ConfigError(f"prompt template {current}, line {error.lineno}: {text}; correct the template") from None
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"prompt template {current} cannot be read: {one_line(str(error))}") from None
            if unknown := meta.find_undeclared_variables(parsed) - _KNOWN:
                raise ConfigError(
                    f"prompt template {current}: unknown variable {min(unknown)!r}; known are {', '.join(sorted(_KNOWN))}"
                )
            waiting += [found for found in meta.find_referenced_templates(parsed) if found is not None]


def _template_name(role: Role) -> str:
    return f"{role.value}.md"


# ------------------------------------------------------------------------------------------------ quoting


def quote_untrusted(text: str, label: str = "text", limit: int = TEXT_MAX) -> str:
    """Return *text* as a fenced block of data: the fence is longer than any run of backticks in it."""
    clean = strip_controls(text).strip("\n")
    cut = ""
    if len(clean) > limit:
        cut = f"\n(cut here: {len(clean) - limit} more characters of {one_line(label)} are left out)"
        clean = clean[:limit]
    longest = max((len(run) for run in _BACKTICKS.findall(clean)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}untrusted\n{clean or '(empty)'}\n{fence}{cut}"


def strip_controls(text: str) -> str:
    """Return *text* without control characters, lone surrogates and invisible marks; newline and tab stay."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    kept = (char for char in unified if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"})
    return _INVISIBLE.sub("", "".join(kept))


def one_line(text: str, limit: int = LINE_MAX) -> str:
    """Return *text* as one bounded line."""
    line = " ".join(strip_controls(text).split())
    return line if len(line) <= limit else f"{line[:limit]}…"


def render_comments(comments: Iterable[BoardComment]) -> str:
    """Return comments as one text, oldest first, each under who wrote it and when."""
    parts = []
    for comment in comments:
        author = one_line(comment.author_name or comment.author, 80)
        parts.append(f"[{comment.created_at:%Y-%m-%d %H:%M} UTC, {author}]\n{comment.text.strip()}")
    return "\n\n".join(parts)


def render_findings(findings: Iterable[Finding]) -> str:
    """Return findings as a numbered list."""
    lines = []
    for number, finding in enumerate(findings, 1):
        place = f" ({one_line(finding.path, 200)})" if finding.path else ""
        lines.append(f"{number}. [{one_line(finding.severity, 40)}] {one_line(finding.title)}{place}")
        lines += [f"   {line}" for line in finding.detail.strip().splitlines()]
    return "\n".join(lines)
