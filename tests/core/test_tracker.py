"""The live message of a task, and the alerts beside it: what they say, in any state, with any words of others."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.alerts import SILENT, alert_buttons, alert_text, is_silent
from orch.core.chat_text import BYTES_MAX, UNITS_MAX, units
from orch.core.effects import Alert
from orch.core.ids import JobId, RunId, WorkItemId
from orch.core.model import Awaiting, Outcome, ParkReason, Run, RunKind, Task, Transition, Usage
from orch.core.presses import Verb, asked_about
from orch.core.render.catalogue import CATALOGUES
from orch.core.stages import Role, Stage
from orch.core.task_facts import TaskFacts
from orch.core.tracker import is_moving, tracker_text
from tests.builders import DEMO, NOW, later, make_park, make_run, make_task, make_transition, sha
from tests.fakes.telegram.entities import parse_html

USAGE = Usage(input=1_000, output=250, cache_read=9_000, cache_creation=2_000)


def run(number: int, stage: Stage, role: Role, start: float, end: float | None, **fields: object) -> Run:
    ended = None if end is None else later(end)
    base = make_run(id=RunId(number), job=JobId(number), stage=stage, role=role, started_at=later(start), ended_at=ended)
    done = replace(base, outcome=None if end is None else Outcome.SUCCEEDED, usage=USAGE, cost_usd=0.25)
    return replace(done, model="claude-sonnet-4-5-20250929", **fields)  # type: ignore[arg-type]


def moved(task: Task, source: Stage, target: Stage, at: float) -> Transition:
    return make_transition(task, at=later(at), source=source, target=target, cause="passed")


def developing(**fields: object) -> TaskFacts:
    task = replace(make_task(stage=Stage.DEVELOPMENT, url="https://board.example/DEMO-1", updated_at=later(700)), **fields)  # type: ignore[arg-type]
    history = (
        make_transition(task, target=Stage.ANALYSIS),
        moved(task, Stage.ANALYSIS, Stage.ARCHITECTURE, 600),
        moved(task, Stage.ARCHITECTURE, Stage.DEVELOPMENT, 700),
    )
    runs = (
        run(1, Stage.ANALYSIS, Role.ANALYST, 0, 120),
        run(2, Stage.ARCHITECTURE, Role.ARCHITECT, 600, 690),
        run(3, Stage.DEVELOPMENT, Role.DEVELOPER, 700, 750, outcome=Outcome.FAILED),
        run(4, Stage.DEVELOPMENT, Role.DEVELOPER, 760, None),
    )
    return TaskFacts(task=task, runs=runs, history=history)


def test_a_task_at_work_shows_each_stage_with_its_figures() -> None:
    text = tracker_text(developing(), later(820), "en")
    lines = text.plain().split("\n")
    assert lines[0] == "DEMO-1 Add a greeting"
    assert lines[1] == "In Progress"
    assert lines[3] == "✅ analysis · 10 m · 12.0k↓ 250↑ · $0.25 · sonnet-4.5"
    assert lines[4] == "✅ architecture · 1 m 40 s · 12.0k↓ 250↑ · $0.25 · sonnet-4.5"
    assert lines[5] == "▶️ development · 2 m · 24.0k↓ 500↑ · $0.50 · sonnet-4.5 · ×2"
    assert lines[6:10] == ["▫️ review", "▫️ testing", "▫️ staging and landing", "▫️ deploy"]
    assert lines[11].startswith("💬 The Developer works on it since 2026-01-05 09:12 UTC.")
    assert lines[-1] == "Σ 48.0k↓ 1.0k↑ (cached 36.0k) · $1.00 · runs: 4"
    assert "<b>DEMO-1</b></a> Add a greeting" in text.html()
    assert is_moving(developing())


def test_what_waits_does_not_age() -> None:
    """An idle daemon has nothing to edit: the message of a task that waits for a person is the same an hour later."""
    task = make_task(awaiting=Awaiting.APPROVAL, shown=sha("a"), updated_at=later(120))
    facts = TaskFacts(task=task, runs=(run(1, Stage.ANALYSIS, Role.ANALYST, 0, 120),), history=(make_transition(task),))
    text = tracker_text(facts, later(120), "en").plain()
    assert "The plan waits for a person's decision since 2026-01-05 09:02 UTC." in text
    assert not is_moving(facts)


def test_the_end_says_how_long_it_took_whom_and_where_it_is() -> None:
    done = developing(stage=Stage.DONE, awaiting=Awaiting.NOTHING, finished_at=later(1200), pr_number=4, landed=sha("d"))
    text = tracker_text(done, later(9_999), "en").plain()
    assert "🏁 Done in 20 m: agents" in text
    assert text.endswith(f"PR #4 · {sha('d')[:12]}")
    stopped = developing(stage=Stage.CANCELLED, awaiting=Awaiting.NOTHING, finished_at=later(900))
    text = tracker_text(stopped, later(9_999), "ru").plain()
    assert "🏁 Отменено через 15 m" in text
    swept = developing(stage=Stage.CANCELLED, awaiting=Awaiting.NOTHING, work_item=WorkItemId("DEMO-1#cancelled-1"))
    assert tracker_text(swept, later(9_999), "en").plain().startswith("DEMO-1 Add a greeting\n")
    assert not is_moving(replace(stopped, task=replace(stopped.task, stage=Stage.CANCELLED)))


def test_the_end_links_to_the_pull_request_that_was_merged() -> None:
    done = developing(stage=Stage.DONE, awaiting=Awaiting.NOTHING, finished_at=later(1200), pr_number=5, landed=sha("d"))
    opened = [
        make_transition(done.task, cause="pull-request", detail=f"#{number} https://git.example/acme/shop/pulls/{number}")
        for number in (4, 5)
    ]
    html = tracker_text(replace(done, history=(*done.history, *opened)), later(9_999), "en").html()
    assert '<a href="https://git.example/acme/shop/pulls/5">PR #5</a> · ' in html
    without = replace(done, history=(*done.history, make_transition(done.task, cause="pull-request", detail="#5")))
    assert "PR #5 · " in tracker_text(without, later(9_999), "en").html()


def test_a_parked_task_says_why() -> None:
    parked = developing(park=make_park(ParkReason.RETRIES_EXHAUSTED))
    text = tracker_text(parked, later(820), "en").plain()
    assert "⛔️ development" in text
    assert "Blocked · " in text


WORDS = st.text(max_size=300)


@given(
    title=WORDS,
    note=WORDS,
    evidence=WORDS,
    model=WORDS,
    url=WORDS,
    stage=st.sampled_from(Stage),
    awaiting=st.sampled_from(Awaiting),
    parked=st.booleans(),
    language=st.sampled_from(["en", "ru", "xx"]),
    passed=st.floats(-1e6, 1e9),
)
def test_any_task_gives_a_message_that_can_be_parsed_within_the_limits(
    title: str,
    note: str,
    evidence: str,
    model: str,
    url: str,
    stage: Stage,
    awaiting: Awaiting,
    parked: bool,
    language: str,
    passed: float,
) -> None:
    park = make_park(evidence=evidence) if parked else None
    task = make_task(title=title, note=note, url=url, stage=stage, awaiting=awaiting, park=park, shown=sha("a"))
    facts = TaskFacts(task=task, runs=[make_run(task, model=model, kind=RunKind.AGENT)] * 3, history=[make_transition(task)])
    text = tracker_text(facts, NOW + timedelta(seconds=passed), language)
    parsed, entities = parse_html(text.html())
    assert units(parsed) <= UNITS_MAX
    assert len(text.html().encode()) <= BYTES_MAX
    assert parsed.startswith("DEMO-1")
    assert all(what in ("b", "i", "code") or what.startswith("http") for what, _ in entities)


# ------------------------------------------------------------------------------------------------ alerts


@given(kind=st.text(max_size=30), words=st.text(max_size=6000), title=WORDS)
def test_any_alert_gives_a_message_that_can_be_parsed_within_the_limits(kind: str, words: str, title: str) -> None:
    text = alert_text(Alert(kind=kind, text=words, shown=sha("a")), DEMO, make_task(title=title), "en")
    parsed, _ = parse_html(text.html())
    assert units(parsed) <= UNITS_MAX


PLAN = make_task(awaiting=Awaiting.APPROVAL, shown=sha("a"))


def test_an_alert_names_its_kind_its_task_and_what_it_is_about() -> None:
    told = alert_text(Alert(kind="approval", text="The plan is **ready**.", shown=sha("a")), DEMO, PLAN, "en").plain()
    assert told == f"📋 A plan waits for approval\nDEMO-1 Add a greeting\n\nThe plan is ready.\n\nIt is about {sha('a')[:12]}"
    of_repo = alert_text(Alert(kind="freeze", text="It is frozen."), DEMO, None, "ru").plain()
    assert of_repo == "🧊 Проект заморожен\ndemo\n\nIt is frozen."


@pytest.mark.parametrize("kind", ["reminder-confirm", "trouble-store", "red-main", "something-new", ""])
def test_every_kind_has_a_heading(kind: str) -> None:
    for language in CATALOGUES:
        assert alert_text(Alert(kind=kind, text="x"), DEMO, None, language).plain().split("\n")[0]


def test_only_what_asks_for_nothing_is_silent() -> None:
    assert all(is_silent(Alert(kind=kind, text="")) for kind in SILENT)
    asking = ("approval", "input", "confirm-deploy", "parked", "deploy-failed", "degraded", "freeze", "budget", "reminder-input")
    assert not [kind for kind in asking if is_silent(Alert(kind=kind, text=""))]


def test_an_alert_has_the_buttons_of_what_it_asked_about_while_that_is_asked() -> None:
    asked = Alert(kind="approval", text="x", shown=asked_about(PLAN))
    assert [press.verb for press in alert_buttons(asked, PLAN)[0]] == [Verb.APPROVE, Verb.REJECT]
    for other in (replace(PLAN, shown=sha("c")), replace(PLAN, awaiting=Awaiting.AGENT), replace(PLAN, park=make_park()), None):
        assert alert_buttons(asked, other) == ()
    parked = replace(PLAN, park=make_park())
    told = Alert(kind="parked", text="x", shown=asked_about(parked))
    assert [press.verb for press in alert_buttons(told, parked)[0]] == [Verb.RESUME, Verb.STOP]
    assert alert_buttons(told, replace(parked, park=make_park(since=later(9)))) == ()
    assert alert_buttons(Alert(kind="degraded", text="x"), PLAN) == ()
