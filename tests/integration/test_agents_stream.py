"""From an agent's output and exit to its outcome: every known way in which a claude-shaped run has been seen to end."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orch.adapters.agents.stream import StreamReader
from orch.core.budget import session_cost
from orch.core.model import AgentResult, Outcome, Usage
from orch.ports import ProcessEnd, ProcessEnding

SESSION = "5710dba7-ce0b-450b-ad95-f054deeda2f9"
INIT = {"type": "system", "subtype": "init", "session_id": SESSION, "model": "claude-x", "claude_code_version": "2.1.330"}
OK = {"type": "result", "subtype": "success", "is_error": False, "session_id": SESSION, "num_turns": 2, "result": "done"}
API_ERROR = {**OK, "is_error": True, "terminal_reason": "api_error"}


def end(code: int = 0, *, ending: ProcessEnding = "exited", stderr: str = "") -> ProcessEnd:
    return ProcessEnd(ending=ending, exit_code=code, stderr_tail=stderr, seconds=1.0)


def read(
    *events: dict[str, Any] | bytes, at: ProcessEnd | None = None, resumed: str | None = None, plain: bool = False
) -> AgentResult:
    reader = StreamReader(resumed=resumed, plain=plain)
    for event in events:
        reader.feed(event if isinstance(event, bytes) else json.dumps(event).encode())
    return reader.result(at or end())


DENIED = {**OK, "permission_denials": [{"tool_name": "Write", "tool_use_id": "t1", "tool_input": {}}]}
TURNS = {"type": "result", "subtype": "error_max_turns", "is_error": True, "errors": ["Reached maximum number of turns (2)"]}
BUDGET = {"type": "result", "subtype": "error_max_budget_usd", "is_error": True, "terminal_reason": "budget_exhausted"}
ABORTED = {"type": "result", "subtype": "error_during_execution", "is_error": True, "terminal_reason": "aborted_tools"}
LIMIT = {**API_ERROR, "api_error_status": 429, "api_error": "usage_limit_reached", "result": "You've hit your 5-hour limit"}

CASES = [
    ("ok", [OK], end(), Outcome.SUCCEEDED, ""),
    ("ok, hung after its result", [OK], end(143, ending="hung_after_result"), Outcome.SUCCEEDED, "did not end after"),
    ("ok said, exit 1", [OK], end(1), Outcome.FAILED, "exit code 1"),
    ("ok said, killed", [OK], end(-9), Outcome.FAILED, "signal 9"),
    ("tool denied", [DENIED], end(), Outcome.PERMISSION_DENIED, "denied: Write"),
    ("turn limit", [TURNS], end(1), Outcome.TURN_LIMIT, "turns (2)"),
    ("budget", [BUDGET], end(1), Outcome.BUDGET_EXHAUSTED, "budget_exhausted"),
    ("budget, older", [{k: v for k, v in BUDGET.items() if k != "terminal_reason"}], end(1), Outcome.BUDGET_EXHAUSTED, ""),
    (
        "529",
        [{**API_ERROR, "api_error_status": 529, "api_error_type": "overloaded_error"}],
        end(1),
        Outcome.FAILED,
        "529 overloaded",
    ),
    ("529, older", [{**OK, "is_error": True, "api_error_status": 529}], end(1), Outcome.FAILED, "529"),
    ("401", [{**API_ERROR, "api_error_status": 401, "result": "Invalid API key"}], end(1), Outcome.FAILED, "Invalid API key"),
    (
        "prompt too long",
        [{**API_ERROR, "api_error_status": 400, "terminal_reason": "prompt_too_long"}],
        end(1),
        Outcome.FAILED,
        "400",
    ),
    ("429", [{**API_ERROR, "api_error_status": 429}], end(1), Outcome.RATE_LIMITED, ""),
    ("subscription limit", [LIMIT], end(1), Outcome.RATE_LIMITED, "5-hour limit"),
    ("limit, older", [{**API_ERROR, "result": "Claude AI usage limit reached|1795363200"}], end(1), Outcome.RATE_LIMITED, ""),
    ("refusal", [{**API_ERROR, "stop_reason": "refusal"}], end(1), Outcome.FAILED, "refused"),
    ("truncated stream", [{**API_ERROR, "api_error_status": None}], end(1), Outcome.FAILED, ""),
    ("no login", [{**API_ERROR, "result": "Not logged in · Please run /login"}], end(1), Outcome.FAILED, "Not logged in"),
    ("bad flag", [], end(1, stderr="error: unknown option '--x'"), Outcome.CRASHED, "unknown option"),
    ("root bypass", [], end(1, stderr="cannot be used with root privileges"), Outcome.CRASHED, "root"),
    ("SIGTERM", [INIT], end(143), Outcome.CRASHED, "exit code 143"),
    ("SIGINT while waiting", [], end(0), Outcome.CRASHED, "without a result"),
    ("SIGINT in a tool", [INIT, ABORTED], end(0), Outcome.CRASHED, "aborted_tools"),
    ("SIGKILL", [INIT], end(-9), Outcome.CRASHED, "signal 9"),
    ("other error", [{**ABORTED, "terminal_reason": "x"}], end(1), Outcome.FAILED, "x"),
    ("stalled", [INIT], end(143, ending="stalled"), Outcome.STALLED, "silent"),
    ("stalled, whatever it said", [OK], end(-9, ending="stalled"), Outcome.STALLED, "silent"),
    ("timed out", [INIT], end(143, ending="timed_out"), Outcome.TIMED_OUT, "longer than allowed"),
    ("neither success nor failure", [{"type": "result"}], end(), Outcome.FAILED, ""),
    ("is_error of a wrong type", [{**OK, "is_error": 0}], end(), Outcome.FAILED, ""),
    ("the last result counts", [TURNS, INIT, OK], end(), Outcome.SUCCEEDED, ""),
]


@pytest.mark.parametrize(("events", "at", "outcome", "detail"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_every_way_to_end_is_one_of_the_closed_outcomes(
    events: list[dict[str, Any]], at: ProcessEnd, outcome: Outcome, detail: str
) -> None:
    result = read(*events, at=at)
    assert result.outcome is outcome
    assert detail in result.detail
    assert "\0" not in result.detail


@pytest.mark.parametrize(
    "lost",
    [
        ([], "No conversation found with session ID: abc"),
        ([], "Error: Session ID abc is already in use."),
        (
            [{**ABORTED, "session_id": SESSION, "terminal_reason": None, "errors": ["No conversation found with session ID: x"]}],
            "",
        ),
    ],
)
def test_a_session_that_is_not_there_is_told_apart(lost: tuple[list[dict[str, Any]], str]) -> None:
    events, stderr = lost
    result = read(*events, at=end(1, stderr=stderr), resumed=SESSION)
    assert (result.outcome, result.session_lost, result.session) == (Outcome.FAILED, True, None)


def test_an_agent_cannot_claim_a_lost_session_in_its_text() -> None:
    claim = {**OK, "result": "No conversation found with session ID: x"}
    assert read(claim).session_lost is False


@pytest.mark.parametrize(
    ("reset", "until"),
    [
        (1795363200, datetime(2026, 11, 22, 16, 0, tzinfo=UTC)),
        (1795363200000, datetime(2026, 11, 22, 16, 0, tzinfo=UTC)),
        (-1, None),
        (10**30, None),
        ("soon", None),
        (float("nan"), None),
        (True, None),
    ],
)
def test_a_limit_ends_when_the_event_says(reset: object, until: datetime | None) -> None:
    warned = {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed_warning", "resetsAt": 1}}
    event = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": reset}}
    assert read(INIT, warned, event, LIMIT, at=end(1)).until == until
    assert read(INIT, warned, event, OK).until is None


def test_a_limit_of_an_older_version_ends_when_its_text_says() -> None:
    limit = {**API_ERROR, "result": "Claude AI usage limit reached|1795363200"}
    assert read(limit, at=end(1)).until == datetime(2026, 11, 22, 16, 0, tzinfo=UTC)


def test_a_tool_is_open_from_its_use_to_its_result() -> None:
    reader = StreamReader(resumed=None)

    def feed(by: str, **block: str) -> bool:
        reader.feed(json.dumps({"type": by, "message": {"content": [block]}}).encode())
        return reader.tool_open

    assert feed("assistant", type="tool_use", id="a")
    assert feed("assistant", type="tool_use", id="b")
    assert feed("user", type="tool_result", tool_use_id="a")
    assert not feed("user", type="tool_result", tool_use_id="b")
    assert feed("assistant", type="tool_use", id="c")
    reader.feed(json.dumps(TURNS).encode())
    assert (reader.tool_open, reader.finished) == (False, True)
    reader.feed(json.dumps(INIT).encode())
    assert reader.finished is False


TOKENS = {"input_tokens": 24, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 400, "output_tokens": 10}
MODEL = {"inputTokens": 24, "cacheCreationInputTokens": 200, "cacheReadInputTokens": 400, "outputTokens": 10, "costUSD": 0.5}
SPENT = Usage(input=24, output=10, cache_read=400, cache_creation=200)


@pytest.mark.parametrize(
    ("fields", "resumed", "usage", "cost"),
    [
        pytest.param({"usage": TOKENS, "total_cost_usd": 0.5}, None, SPENT, 0.5, id="an older version, a new session"),
        pytest.param({"usage": TOKENS, "total_cost_usd": 2.0}, SESSION, SPENT, 0.0, id="an older version, resumed"),
        pytest.param({"modelUsage": {"x": MODEL}, "total_cost_usd": 0.5}, None, SPENT, 0.5, id="a budget stop"),
        pytest.param({"modelUsage": {"x": MODEL}, "total_cost_usd": 2.0}, SESSION, Usage(), 0.0, id="a budget stop, resumed"),
        pytest.param(
            {"model_usage_since_last_result": {"x": MODEL}, "modelUsage": {"x": MODEL, "y": MODEL}, "total_cost_usd": 2.0},
            SESSION,
            SPENT,
            0.5,
            id="resumed",
        ),
        pytest.param({"model_usage_since_last_result": {"x": MODEL, "y": MODEL}}, None, SPENT + SPENT, 1.0, id="two models"),
    ],
)
def test_tokens_and_money_are_the_runs_own(fields: dict[str, Any], resumed: str | None, usage: Usage, cost: float) -> None:
    result = read(INIT, {**OK, **fields}, resumed=resumed)
    assert (result.usage, result.cost_usd) == (usage, cost)
    assert result.session_cost_usd == fields.get("total_cost_usd", 0.0)


def test_several_results_add_up_and_a_killed_run_tells_what_it_had() -> None:
    part = {**OK, "model_usage_since_last_result": {"x": MODEL}, "total_cost_usd": 1.0}
    assert read(INIT, part, INIT, part).usage == SPENT + SPENT
    said = {"type": "assistant", "message": {"id": "m1", "usage": TOKENS, "content": []}}
    killed = read(INIT, said, said, at=end(-9))
    assert (killed.usage, killed.session_cost_usd) == (SPENT, None)


SAID = {"type": "assistant", "message": {"id": "m1", "usage": TOKENS, "content": []}}
TOLD = {**SAID, "session_id": SESSION, "total_cost_usd": 2.5}
MEASURED = {**OK, "model_usage_since_last_result": {"x": MODEL}, "total_cost_usd": 3.0}


@pytest.mark.parametrize(
    ("events", "resumed", "before", "cost", "total", "usage"),
    [
        pytest.param([INIT], None, None, 0.0, None, Usage(), id="nothing is told at first"),
        pytest.param([INIT, SAID], None, None, 0.0, None, SPENT, id="claude tells tokens while it goes on"),
        pytest.param([INIT, TOLD], None, None, 2.5, None, SPENT, id="a total on the way, a new session"),
        pytest.param([INIT, TOLD], SESSION, 2.0, 0.5, None, SPENT, id="a total on the way, resumed"),
        pytest.param([INIT, TOLD], SESSION, 4.0, 2.5, None, SPENT, id="a session that began anew"),
        pytest.param([INIT, TOLD], SESSION, None, 0.0, None, SPENT, id="nobody knows what it had cost before"),
        pytest.param([INIT, {**OK, "total_cost_usd": 3.0}], SESSION, 2.0, 1.0, 3.0, Usage(), id="its report"),
        pytest.param([INIT, MEASURED], SESSION, 1.0, 0.5, 3.0, SPENT, id="it measured itself"),
        pytest.param([INIT, MEASURED, INIT], SESSION, 1.0, 0.5, None, SPENT, id="it woke up once more"),
        pytest.param([INIT, {**TOLD, "type": "user"}], None, None, 0.0, None, Usage(), id="a tool's output tells no money"),
    ],
)
def test_the_figures_of_a_run_that_goes_on_are_its_own(
    events: list[dict[str, Any]], resumed: str | None, before: float | None, cost: float, total: float | None, usage: Usage
) -> None:
    reader = StreamReader(resumed=resumed, before_usd=before)
    for event in events:
        reader.feed(json.dumps(event).encode())
    figures = reader.figures
    assert (figures.cost_usd, figures.session_cost_usd, figures.usage) == (cost, total, usage)


def test_a_run_that_was_killed_after_a_report_leaves_its_sessions_total_alone() -> None:
    reader = StreamReader(resumed=SESSION, before_usd=2.0)
    for event in (INIT, {**OK, "total_cost_usd": 3.0}, INIT, SAID):
        reader.feed(json.dumps(event).encode())
    result = reader.result(end(-9, ending="timed_out"))
    assert (result.cost_usd, result.session_cost_usd) == (1.0, None)


@pytest.mark.parametrize(("total", "stored", "cost"), [(2.0, 0.5, 1.5), (0.5, 0.5, 0.0), (0.3, 0.5, 0.3), (0.7, 0.0, 0.7)])
def test_a_runs_cost_is_what_its_session_grew_by(total: float, stored: float, cost: float) -> None:
    assert session_cost(total, stored) == cost


@pytest.mark.parametrize("session", ["--dangerously-skip-permissions", "a b", "", "x" * 200, 7, None, "../../x"])
def test_a_session_id_that_could_be_an_option_or_a_path_is_not_taken(session: object) -> None:
    assert read({**INIT, "session_id": session}, {**OK, "session_id": session}).session is None


def test_numbers_out_of_reason_are_bounded() -> None:
    wild = {"input_tokens": 10**400, "output_tokens": -5, "cache_read_input_tokens": True, "cache_creation_input_tokens": "7"}
    result = read(
        INIT, b'{"type":"result","is_error":false,"total_cost_usd":1e999,"num_turns":-3,"usage":%s}' % json.dumps(wild).encode()
    )
    assert result.usage == Usage(input=10**12)
    assert (result.cost_usd, result.session_cost_usd, result.turns) == (0.0, 0.0, 0)


def test_plain_text_is_judged_by_its_exit_code() -> None:
    lines = [b"working", b"{not json", b'{"other": "json"}', b"all done"]
    good, bad, killed = (read(*lines, at=end(code), plain=True) for code in (0, 4, -11))
    assert (good.outcome, good.text) == (Outcome.SUCCEEDED, 'working\n{not json\n{"other": "json"}\nall done')
    assert bad.outcome is Outcome.FAILED
    assert "exit code 4" in bad.detail
    assert "all done" in bad.detail
    assert killed.outcome is Outcome.CRASHED


def test_a_plain_agent_that_speaks_claude_is_judged_by_its_result() -> None:
    assert read(b"starting", INIT, TURNS, at=end(0), plain=True).outcome is Outcome.TURN_LIMIT
    assert read(INIT, at=end(0), plain=True).outcome is Outcome.CRASHED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        *("subtype", "session_id", "message", "usage", "modelUsage", "model_usage_since_last_result", "is_error", "result"),
        *("errors", "permission_denials", "rate_limit_info", "total_cost_usd", "num_turns", "model", "api_error_status"),
    ]
)
events = st.builds(
    lambda kind, rest: json.dumps({**rest, "type": kind}).encode(),
    st.sampled_from(["system", "assistant", "user", "result", "rate_limit_event", "stream_event"]),
    st.dictionaries(fields, json_values, max_size=6),
)
hostile = [
    b"",
    b"{",
    b"null",
    b"[" * 100_000,
    b'{"type":' + b"[" * 100_000,
    b'{"type":"result","num_turns":' + b"9" * 5000 + b"}",
]


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(events | st.binary(max_size=50) | st.sampled_from(hostile), max_size=6),
    code=st.integers(-15, 255),
    ending=st.sampled_from(["exited", "stalled", "timed_out", "hung_after_result"]),
    plain=st.booleans(),
)
def test_no_output_whatever_is_without_an_outcome(lines: list[bytes], code: int, ending: ProcessEnding, plain: bool) -> None:
    result = read(*lines, at=end(code, ending=ending), plain=plain)
    assert result.outcome in Outcome
    for text in (result.detail, result.text, result.model, result.version):
        text.encode("utf-8")
        assert len(text) <= 20_000


def test_lone_surrogates_and_nul_never_get_through() -> None:
    result = read(INIT, b'{"type":"result","is_error":false,"result":"a\\ud800b\\u0000c"}')
    assert result.text == "a?bc"


CAPTURES = Path(os.environ.get("ORCH_TEST_CAPTURES") or Path(__file__).resolve().parents[2].parent / "shared" / "captures")


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="no captures of the real program (ORCH_TEST_CAPTURES)")
@pytest.mark.parametrize(
    ("name", "code", "outcome"),
    [
        ("success.json", 0, Outcome.SUCCEEDED),
        ("schema.json", 0, Outcome.SUCCEEDED),
        ("max_turns.json", 1, Outcome.TURN_LIMIT),
        ("budget.json", 1, Outcome.BUDGET_EXHAUSTED),
        ("401.json", 1, Outcome.FAILED),
        ("stream_529.jsonl", 1, Outcome.FAILED),
        ("stream_denied.jsonl", 0, Outcome.PERMISSION_DENIED),
        ("stream_fallback.jsonl", 0, Outcome.SUCCEEDED),
        ("stream_tool.jsonl", 0, Outcome.SUCCEEDED),
    ],
)
def test_captures_of_the_real_program_are_read_as_what_they_are(name: str, code: int, outcome: Outcome) -> None:
    lines = (CAPTURES / f"claude_2.1.330_{name}").read_bytes().splitlines()
    result = read(*lines, at=end(code))
    assert result.outcome is outcome
    assert result.session is not None
    spends = outcome is not Outcome.FAILED
    assert (result.cost_usd > 0, result.usage.input > 0) == (spends, spends)
    assert result.cost_usd == result.session_cost_usd
