"""Claude-shaped JSON lines, from the first event to the outcome.

Owns: following the events (tool calls open, result seen), tokens and money, and the table from (result line, exit) to one of
the closed outcomes. Shared by every agent that speaks this way. Owns no process and no invocation.
Rule: every line is hostile. What cannot be parsed is ignored, what is unknown is ignored, every text and number is bounded, and
``feed`` never raises. Success needs a result line that says so *and* exit 0.

Money: ``total_cost_usd`` is the session's running total, resumed runs included, hence ``session_cost_usd``. A run's own
cost is the sum of ``model_usage_since_last_result`` where the version reports it; else its total in a new session, and in a
resumed one the difference to what that had cost before (``orch.core.budget.own_cost`` has the last word at the end). A run that
was killed costs what it had told until then, and its session's total goes without that.
Tokens: ``model_usage_since_last_result`` summed over the result lines; else ``usage`` of the last one (per run, but zero at a
budget stop); else ``modelUsage`` in a new session (it is cumulative); else what the assistant events said (at a kill: output
is too low then, for events carry the count at a message's start).
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import final

from orch.core.budget import session_cost
from orch.core.model import AgentResult, Figures, Outcome, Usage
from orch.ports import ProcessEnd

DETAIL_MAX = 2_000
TEXT_MAX = 20_000
_IDS_MAX = 5_000
_TOKENS_MAX = 10**12
_USD_MAX = 10.0**6
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LIMIT_TEXT = re.compile(r"usage limit reached(?:\|(\d{9,13}))?|hit your (?:[\w-]+ )?limit", re.IGNORECASE)
_LOST = re.compile(r"No conversation found with session ID|Session ID \S+ is already in use")

Event = Mapping[str, object]


@final
@dataclass(slots=True)
class Seen:
    """What the events have told so far."""

    result: Event | None = None
    shaped: bool = False
    finished: bool = False
    open_tools: set[str] = field(default_factory=set)
    session: str | None = None
    model: str = ""
    version: str = ""
    until: datetime | None = None
    since_last: Usage | None = None
    since_last_usd: float = 0.0
    total_usd: float | None = None
    """The session's total as any event last told it; claude itself tells it in result lines alone."""
    messages: dict[str, Usage] = field(default_factory=dict)
    last_text: str = ""

    def take(self, event: Event) -> None:
        """Take one event. Unknown types and fields are ignored."""
        kind = event.get("type")
        if kind in {"system", "assistant", "user", "result"}:
            self.shaped = True
            session = event.get("session_id")
            if isinstance(session, str) and _SESSION.fullmatch(session):
                self.session = session
            if kind != "user" and "total_cost_usd" in event:
                self.total_usd = _usd(event.get("total_cost_usd"))
        if kind == "system":
            self._take_system(event)
        elif kind == "assistant":
            self._take_assistant(event)
        elif kind == "user":
            for block in _blocks(event):
                if block.get("type") == "tool_result":
                    self.open_tools.discard(_text(block.get("tool_use_id"), 200))
        elif kind == "rate_limit_event":
            info = _mapping(event.get("rate_limit_info"))
            if info.get("status") == "rejected":
                self.until = _moment(info.get("resetsAt"))
        elif kind == "result":
            self._take_result(event)

    def _take_system(self, event: Event) -> None:
        subtype = event.get("subtype")
        if subtype == "init":
            self.finished = False  # a background task has woken the agent once more
            self.model = _text(event.get("model"), 200)
            self.version = _text(event.get("claude_code_version"), 100)
        elif subtype == "model_fallback":
            self.model = _text(event.get("fallback_model"), 200) or self.model

    def _take_assistant(self, event: Event) -> None:
        self.finished = False
        message = _mapping(event.get("message"))
        name = _text(message.get("id"), 200)
        if name in self.messages or len(self.messages) < _IDS_MAX:
            self.messages[name] = _usage(_mapping(message.get("usage")))
        for block in _blocks(event):
            if block.get("type") == "tool_use" and len(self.open_tools) < _IDS_MAX:
                self.open_tools.add(_text(block.get("id"), 200))
            elif block.get("type") == "text":
                self.last_text = _text(block.get("text"), TEXT_MAX)

    def _take_result(self, event: Event) -> None:
        self.result, self.finished = event, True
        self.open_tools.clear()
        since = event.get("model_usage_since_last_result")
        if isinstance(since, Mapping):
            usage, usd = _model_usage(since)
            self.since_last = usage if self.since_last is None else self.since_last + usage
            self.since_last_usd += usd


@final
class StreamReader:
    """Reads one run. *resumed* is the session that the run continues, *before_usd* what that had cost before, where it is known;
    *plain* accepts an agent that prints just text."""

    def __init__(self, *, resumed: str | None, plain: bool = False, before_usd: float | None = None) -> None:
        self._resumed, self._plain, self._before_usd = resumed, plain, before_usd
        self._seen = Seen()
        self._tail: list[str] = []
        self._tail_size = 0

    @property
    def tool_open(self) -> bool:
        return bool(self._seen.open_tools)

    @property
    def finished(self) -> bool:
        return self._seen.finished

    @property
    def usage(self) -> Usage:
        return _run_usage(self._seen, self._resumed)

    @property
    def figures(self) -> Figures:
        """What the run has told so far."""
        seen = self._seen
        turns = _count((seen.result or {}).get("num_turns"))
        total = seen.total_usd if seen.finished and seen.session is not None else None
        return Figures(
            session=seen.session, session_cost_usd=total, model=seen.model, usage=self.usage, cost_usd=self._cost(), turns=turns
        )

    def feed(self, line: bytes) -> None:
        event = parse_event(line)
        if event is not None:
            self._seen.take(event)
        elif self._plain and line.strip():
            self._remember(_clean(line.decode("utf-8", "replace"), TEXT_MAX))

    def result(self, end: ProcessEnd) -> AgentResult:
        seen = self._seen
        text = "\n".join(self._tail)[-TEXT_MAX:]
        if self._plain and not seen.shaped:
            outcome, detail = judge_plain(end, text)
        else:
            outcome, detail = judge(seen.result, end)
            text = _text((seen.result or {}).get("result"), TEXT_MAX) or seen.last_text
        result = seen.result or {}
        lost = _is_lost(result, end)
        killed = end.ending in {"timed_out", "stalled"}  # its session's own total goes without what it spent
        total = None if killed or seen.result is None or seen.session is None else _usd(result.get("total_cost_usd"))
        return AgentResult(
            outcome=outcome,
            detail=_clean(detail, DETAIL_MAX),
            text=text,
            session=None if lost else seen.session,
            usage=self.usage,
            cost_usd=self._cost(),
            session_cost_usd=total,
            measured=seen.since_last is not None,
            model=seen.model,
            version=seen.version,
            turns=_count(result.get("num_turns")),
            until=self._until() if outcome is Outcome.RATE_LIMITED else None,
            session_lost=lost,
            exit_code=end.exit_code,
        )

    def _cost(self) -> float:
        seen = self._seen
        if seen.since_last is not None:
            return seen.since_last_usd
        if seen.total_usd is None:
            return 0.0
        if not self._continues():
            return seen.total_usd
        return 0.0 if self._before_usd is None else session_cost(seen.total_usd, self._before_usd)

    def _continues(self) -> bool:
        return self._resumed is not None and self._seen.session in {None, self._resumed}

    def _until(self) -> datetime | None:
        """Return when the limit ends: from the event, else from the text of old versions."""
        found = _LIMIT_TEXT.search(_text((self._seen.result or {}).get("result"), TEXT_MAX))
        return self._seen.until or _moment(int(found.group(1)) if found and found.group(1) else None)

    def _remember(self, text: str) -> None:
        self._tail.append(text)
        self._tail_size += len(text) + 1
        while self._tail_size > 2 * TEXT_MAX and len(self._tail) > 1:
            self._tail_size -= len(self._tail.pop(0)) + 1


def parse_event(line: bytes) -> Event | None:
    """Return a line that is a JSON object with a ``type``, else None. Never raises."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):  # ValueError: no JSON, no UTF-8, a number with thousands of digits
        return None
    return event if isinstance(event, dict) and isinstance(event.get("type"), str) else None


def judge(result: Event | None, end: ProcessEnd) -> tuple[Outcome, str]:
    """Return the outcome of a claude-shaped run and why, from its last result line and the way its process ended."""
    if end.ending == "timed_out":
        return Outcome.TIMED_OUT, f"it ran longer than allowed and was ended after {end.seconds:.0f} s"
    if end.ending == "stalled":
        return Outcome.STALLED, f"it was silent for too long and was ended after {end.seconds:.0f} s"
    if result is None:
        return _judge_without_result(end)
    subtype, said = result.get("subtype", "success"), _said(result)
    if subtype == "error_max_turns":
        return Outcome.TURN_LIMIT, said
    if subtype == "error_max_budget_usd":
        return Outcome.BUDGET_EXHAUSTED, said
    if subtype != "success":
        aborted = _text(result.get("terminal_reason"), 100).startswith("aborted")
        return (Outcome.CRASHED if aborted else Outcome.FAILED), said
    if result.get("is_error") is not False:
        return _judge_error(result, said)
    denials = result.get("permission_denials")
    if isinstance(denials, list) and denials:
        tools = sorted({_text(_mapping(denial).get("tool_name"), 60) or "?" for denial in denials[:50]})
        return Outcome.PERMISSION_DENIED, f"denied: {', '.join(tools)}"
    if end.ending == "exited" and end.exit_code != 0:
        return Outcome.FAILED, f"it reported success but ended with {_exit(end)}"
    return Outcome.SUCCEEDED, "" if end.ending == "exited" else "it did not end after its result and was ended"


def judge_plain(end: ProcessEnd, text: str) -> tuple[Outcome, str]:
    """Return the outcome of an agent that prints plain text: its exit code says it all."""
    if end.ending in {"timed_out", "stalled"}:
        return judge(None, end)
    if end.exit_code == 0:
        return Outcome.SUCCEEDED, ""
    why = (end.stderr_tail.strip() or text.strip())[-DETAIL_MAX + 100 :]
    return (Outcome.CRASHED if end.exit_code < 0 else Outcome.FAILED), f"it ended with {_exit(end)}: {why}"


def _is_lost(result: Event, end: ProcessEnd) -> bool:
    """Say whether the conversation to continue is not there (or the id for a new one is taken): stderr, or a result, says so."""
    said = _said(result) if result.get("subtype") == "error_during_execution" else "" if result else end.stderr_tail
    return _LOST.search(said) is not None


def _judge_without_result(end: ProcessEnd) -> tuple[Outcome, str]:
    why = end.stderr_tail.strip()[-DETAIL_MAX + 200 :]
    if _is_lost({}, end):
        return Outcome.FAILED, why
    return Outcome.CRASHED, f"it ended with {_exit(end)} and without a result" + (f": {why}" if why else "")


def _judge_error(result: Event, said: str) -> tuple[Outcome, str]:
    """Tell apart what comes as subtype ``success`` with ``is_error``: an API error, a limit, a refusal, no login."""
    status = result.get("api_error_status")
    limited = result.get("api_error") == "usage_limit_reached" or _LIMIT_TEXT.search(_text(result.get("result"), TEXT_MAX))
    if status == 429 or limited:
        return Outcome.RATE_LIMITED, said
    if result.get("stop_reason") == "refusal":
        return Outcome.FAILED, f"the model refused: {said}"
    name = _text(result.get("api_error_type"), 100)
    return Outcome.FAILED, f"API error {status} {name}: {said}" if isinstance(status, int) else said


def _said(result: Event) -> str:
    errors = result.get("errors")
    lines = [_text(line, DETAIL_MAX) for line in errors[:20]] if isinstance(errors, list) else []
    return (
        "; ".join(lines)
        or _text(result.get("result"), DETAIL_MAX)
        or _text(result.get("terminal_reason"), 100)
        or "no reason given"
    )


def _exit(end: ProcessEnd) -> str:
    return f"signal {-end.exit_code}" if end.exit_code < 0 else f"exit code {end.exit_code}"


def _run_usage(seen: Seen, resumed: str | None) -> Usage:
    if seen.since_last is not None:
        return seen.since_last
    result = seen.result or {}
    usage = _usage(_mapping(result.get("usage")))
    if usage == Usage() and resumed is None:
        usage, _ = _model_usage(_mapping(result.get("modelUsage")))
    return usage if usage != Usage() else sum(seen.messages.values(), Usage())


def _usage(fields: Mapping[str, object]) -> Usage:
    return Usage(
        input=_count(fields.get("input_tokens")),
        output=_count(fields.get("output_tokens")),
        cache_read=_count(fields.get("cache_read_input_tokens")),
        cache_creation=_count(fields.get("cache_creation_input_tokens")),
    )


def _model_usage(models: Mapping[str, object]) -> tuple[Usage, float]:
    """Add up usage and cost over the models of a ``modelUsage`` object."""
    usage, usd = Usage(), 0.0
    for fields in map(_mapping, list(models.values())[:100]):
        usage += Usage(
            input=_count(fields.get("inputTokens")),
            output=_count(fields.get("outputTokens")),
            cache_read=_count(fields.get("cacheReadInputTokens")),
            cache_creation=_count(fields.get("cacheCreationInputTokens")),
        )
        usd += _usd(fields.get("costUSD"))
    return usage, usd


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _blocks(event: Event) -> list[Mapping[str, object]]:
    content = _mapping(event.get("message")).get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _clean(text: str, limit: int) -> str:
    """Cut *text*, and take out what no store or page can hold: NUL and halves of surrogate pairs."""
    return text[:limit].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _text(value: object, limit: int) -> str:
    return _clean(value, limit) if isinstance(value, str) else ""


def _count(value: object) -> int:
    return min(value, _TOKENS_MAX) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _usd(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _USD_MAX:
        return 0.0
    return float(value)


def _moment(value: object) -> datetime | None:
    """Return seconds (or milliseconds) since the epoch as a time, None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**14 or math.isnan(value):
        return None
    try:
        return datetime.fromtimestamp(value / 1000 if value > 10**11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
