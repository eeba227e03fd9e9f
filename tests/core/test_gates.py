"""Every gate's three lights, the reading of verdict files that agents (or worse) wrote, and the limits of the entry."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.gates import GATES, Artefact, Evidence, Light, Qg0Problem, Report, parse_findings, qg0, read_report
from orch.core.model import CiSource, CiState, DeploySettings, Finding, Project, Task, VerdictValue
from orch.core.stages import TABLE, Stage
from tests.builders import make_limits, make_project, make_task, sha

STAGED = make_project(deploy=DeploySettings(staging_command=("stage",), command=("deploy",)))


def artefact(name: str, text: str = "It says something.", **fields: Any) -> Artefact:
    return Artefact(name=name, blob="b" * 40, text=text, **fields)


def written(*names: str) -> dict[str, Artefact]:
    return {name: artefact(name) for name in names}


def verdict_file(name: str, **front: object) -> Mapping[str, Artefact]:
    return {name: artefact(name, front=front)}


def says(value: VerdictValue) -> Evidence:
    return Evidence(report=Report(value=value, findings=(), blob="b" * 40))


PLAN = Evidence(artefacts=written("01-brd.md", "02-acceptance.md"))
ASKING = Evidence(artefacts=written("01-brd.md", "02-acceptance.md", "questions.md"))
BLANK = Evidence(artefacts={**written("01-brd.md"), "02-acceptance.md": artefact("02-acceptance.md", " \n\t")})
NO_QUESTION = Evidence(artefacts={**written("01-brd.md", "02-acceptance.md"), "questions.md": artefact("questions.md", "\n")})
PLAIN, NOTHING = make_project(), Evidence()
CODE = make_task(stage=Stage.DEVELOPMENT, code_head=sha("c"), pr_number=4)
OFF, FORGE = make_project(ci=CiSource.OFF), make_project(ci=CiSource.FORGE)
AGENT_ONLY = make_project(deploy=DeploySettings(agent=True))
EMPTY_ADR = Evidence(artefacts={"06-adr/ADR-001-x.md": artefact("06-adr/ADR-001-x.md", "  ")})

LIGHTS: list[tuple[str, Task, Project, Evidence, Light]] = [
    ("analysis_artifacts", make_task(), PLAIN, PLAN, Light.GREEN),
    ("analysis_artifacts", make_task(), PLAIN, NO_QUESTION, Light.GREEN),
    ("analysis_artifacts", make_task(), PLAIN, Evidence(approved=True), Light.GREEN),
    ("analysis_artifacts", make_task(), PLAIN, ASKING, Light.PENDING),
    ("analysis_artifacts", make_task(), PLAIN, Evidence(artefacts=written("questions.md")), Light.PENDING),
    ("analysis_artifacts", make_task(), PLAIN, Evidence(artefacts=written("01-brd.md")), Light.RED),
    ("analysis_artifacts", make_task(), PLAIN, BLANK, Light.RED),
    ("analysis_artifacts", make_task(), PLAIN, NOTHING, Light.RED),
    ("approved", make_task(), PLAIN, Evidence(approved=True), Light.GREEN),
    ("approved", make_task(), PLAIN, PLAN, Light.PENDING),
    ("architecture_artifacts", make_task(), PLAIN, Evidence(artefacts=written("06-adr/ADR-001-storage.md")), Light.GREEN),
    ("architecture_artifacts", make_task(), PLAIN, Evidence(artefacts=written("06-adr/ADR-1-storage.md")), Light.RED),
    ("architecture_artifacts", make_task(), PLAIN, Evidence(artefacts=written("06-adr/ADR-001-x/y.md")), Light.RED),
    ("architecture_artifacts", make_task(), PLAIN, Evidence(artefacts=written("ADR-001-storage.md")), Light.RED),
    ("architecture_artifacts", make_task(), PLAIN, EMPTY_ADR, Light.RED),
    ("architecture_artifacts", make_task(), PLAIN, NOTHING, Light.RED),
    ("branch_pushed", CODE, PLAIN, NOTHING, Light.GREEN),
    ("branch_pushed", make_task(head=sha("a")), PLAIN, NOTHING, Light.RED),
    ("pull_request_open", CODE, PLAIN, NOTHING, Light.GREEN),
    ("pull_request_open", make_task(), PLAIN, NOTHING, Light.PENDING),
    ("ci_green", make_task(ci=CiState.SUCCESS), PLAIN, NOTHING, Light.GREEN),
    ("ci_green", make_task(ci=CiState.SUCCESS), FORGE, NOTHING, Light.GREEN),
    ("ci_green", make_task(ci=None), OFF, NOTHING, Light.GREEN),
    ("ci_green", make_task(ci=None), PLAIN, NOTHING, Light.PENDING),
    ("ci_green", make_task(ci=None), FORGE, NOTHING, Light.PENDING),
    ("ci_green", make_task(ci=CiState.PENDING), FORGE, NOTHING, Light.PENDING),
    ("ci_green", make_task(ci=CiState.FAILURE), PLAIN, NOTHING, Light.RED),
    ("ci_green", make_task(ci=CiState.ERROR), FORGE, NOTHING, Light.RED),
    ("review_verdict", make_task(), PLAIN, says(VerdictValue.APPROVED), Light.GREEN),
    ("review_verdict", make_task(), PLAIN, says(VerdictValue.CHANGES_REQUESTED), Light.RED),
    ("review_verdict", make_task(), PLAIN, NOTHING, Light.RED),
    ("review_verdict", make_task(), PLAIN, Evidence(approved=True), Light.RED),
    ("review_verdict", make_task(), PLAIN, Evidence(unreadable="no front matter"), Light.RED),
    ("test_verdict", make_task(), PLAIN, says(VerdictValue.PASS), Light.GREEN),
    ("test_verdict", make_task(), PLAIN, says(VerdictValue.FAIL), Light.RED),
    ("test_verdict", make_task(), PLAIN, NOTHING, Light.RED),
    ("staging_status", make_task(), PLAIN, NOTHING, Light.GREEN),
    ("staging_status", make_task(), STAGED, NOTHING, Light.PENDING),
    ("staging_status", make_task(), STAGED, Evidence(verdict=VerdictValue.OK), Light.GREEN),
    ("staging_status", make_task(), STAGED, Evidence(verdict=VerdictValue.FAIL), Light.RED),
    ("branch_mergeable", make_task(landed=sha("d")), PLAIN, NOTHING, Light.GREEN),
    ("branch_mergeable", make_task(head=sha("a")), PLAIN, Evidence(approved=True), Light.PENDING),
    ("deploy_status", make_task(), PLAIN, NOTHING, Light.GREEN),
    ("deploy_status", make_task(), STAGED, NOTHING, Light.PENDING),
    ("deploy_status", make_task(), STAGED, Evidence(verdict=VerdictValue.SUCCESS), Light.GREEN),
    ("deploy_status", make_task(), STAGED, Evidence(verdict=VerdictValue.FAIL), Light.RED),
    ("deploy_status", make_task(), AGENT_ONLY, NOTHING, Light.PENDING),
    ("deploy_status", make_task(), AGENT_ONLY, Evidence(verdict=VerdictValue.SUCCESS), Light.GREEN),
    ("deploy_status", make_task(), AGENT_ONLY, Evidence(verdict=VerdictValue.FAIL), Light.RED),
]


@pytest.mark.parametrize(("gate", "task", "project", "evidence", "light"), LIGHTS)
def test_the_lights_of_every_gate(gate: str, task: Task, project: Project, evidence: Evidence, light: Light) -> None:
    result = GATES[gate](task, project, evidence)
    assert (result.gate, result.light) == (gate, light)
    assert result.reason or light is Light.GREEN, "a closed gate says why"


def test_the_table_of_stages_names_the_gates_and_no_others() -> None:
    assert {gate for row in TABLE.values() for gate in row.gates} == set(GATES) == {gate for gate, *_ in LIGHTS}


@pytest.mark.parametrize("gate", sorted(GATES))
def test_no_gate_that_needs_evidence_is_green_without_any(gate: str) -> None:
    assert GATES[gate](make_task(), STAGED, NOTHING).light is not Light.GREEN


def test_a_gate_that_was_passed_for_want_of_a_command_says_so() -> None:
    assert GATES["staging_status"](make_task(), PLAIN, NOTHING).reason == "no staging command is configured"
    assert GATES["deploy_status"](make_task(), PLAIN, NOTHING).reason == "no deploy command is configured"
    assert GATES["ci_green"](make_task(), OFF, NOTHING).reason == "CI is off for this project"


def test_a_red_ci_carries_its_log_into_the_next_prompt() -> None:
    red = GATES["ci_green"](make_task(ci=CiState.FAILURE), PLAIN, Evidence(detail="E  assert 1 == 2"))
    assert red.reason == "E  assert 1 == 2"


# ------------------------------------------------------------------------------------------------ verdict files

WORDS = [
    (Stage.REVIEW, "07-review.md", "approved", VerdictValue.APPROVED),
    (Stage.REVIEW, "07-review.md", "changes_requested", VerdictValue.CHANGES_REQUESTED),
    (Stage.TESTING, "08-test-report.md", "pass", VerdictValue.PASS),
    (Stage.TESTING, "08-test-report.md", "fail", VerdictValue.FAIL),
    (Stage.DEPLOY_STAGING, "09-staging.md", "ok", VerdictValue.OK),
    (Stage.DEPLOY_STAGING, "09-staging.md", "fail", VerdictValue.FAIL),
]


@pytest.mark.parametrize(("stage", "name", "word", "value"), WORDS)
def test_each_verdict_file_says_its_own_words(stage: Stage, name: str, word: str, value: VerdictValue) -> None:
    for spelled in (word, f"  {word.upper()} "):
        report = read_report(stage, verdict_file(name, verdict=spelled))
        assert isinstance(report, Report)
        assert (report.value, report.findings, report.blob) == (value, (), "b" * 40)


@pytest.mark.parametrize(
    "word",
    [
        "pass",
        "ok",
        "success",
        "approve",
        "approved!",
        "",
        None,
        True,
        1,
        ["approved"],
        {"approved": True},
        pytest.param(1 << 200_000, id="a vast number"),
    ],
)
def test_any_other_word_is_no_verdict(word: object) -> None:
    told = read_report(Stage.REVIEW, verdict_file("07-review.md", verdict=word))
    assert isinstance(told, str)
    assert told.startswith("07-review.md must say 'verdict: approved | changes_requested'")
    assert len(told) < 300


@pytest.mark.parametrize(
    ("artefacts", "told"),
    [
        ({}, "07-review.md was not written by this attempt"),
        (verdict_file("08-test-report.md", verdict="approved"), "07-review.md was not written by this attempt"),
        (written("07-review.md"), "it must begin with a --- block"),
        ({"07-review.md": artefact("07-review.md", problem="it is not UTF-8 text")}, "it is not UTF-8 text"),
        (
            {"07-review.md": artefact("07-review.md", front={"verdict": "approved"}, problem="names 'verdict' twice")},
            "names 'verdict' twice",
        ),
        (verdict_file("07-review.md"), "must say 'verdict: approved | changes_requested'"),
        (verdict_file("07-review.md", verdict="approved", findings="all fine"), "'findings' must be a list"),
        (verdict_file("07-review.md", verdict="approved", findings=[{"title": "x"}] * 101), "at most 100 entries"),
        (verdict_file("07-review.md", verdict="approved", findings=["it is wrong"]), "needs a 'title'"),
        (verdict_file("07-review.md", verdict="approved", findings=[{"title": 7}]), "needs a 'title'"),
    ],
)
def test_what_cannot_be_read_is_told_and_is_no_verdict(artefacts: Mapping[str, Artefact], told: str) -> None:
    report = read_report(Stage.REVIEW, artefacts)
    assert isinstance(report, str)
    assert told in report


def test_findings_are_read_field_by_field() -> None:
    raw = [
        {"title": "Off by one", "severity": "minor", "path": "a.py", "detail": "line 3", "extra": "left out"},
        {"title": "No test"},
    ]
    assert parse_findings(raw) == (
        Finding(title="Off by one", severity="minor", path="a.py", detail="line 3"),
        Finding(title="No test", severity="major", path="", detail=""),
    )
    assert parse_findings(None) == ()


def test_hostile_findings_come_out_short_and_encodable() -> None:
    bomb: list[object] = ["lol"]
    for _ in range(60):
        bomb = [bomb, bomb]  # written out, more text than there are atoms
    raw = [
        {"title": "x" * 1_000_000, "detail": bomb},
        {"title": "\ud800 half a pair", "severity": 1 << 100_000, "path": {"a": bomb}, "detail": 1.5},
    ]
    findings = parse_findings(raw)
    assert isinstance(findings, tuple)
    for finding in findings:
        for text in (finding.title, finding.severity, finding.path, finding.detail):
            assert len(text.encode("utf-8")) <= 4000
    assert findings[0].detail == ""
    assert findings[1].detail == "1.5"


_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
_FRONT = st.dictionaries(
    st.sampled_from(["verdict", "findings", "title", "other"]), _DATA | st.sampled_from(["approved", "pass"])
)


@given(front=_FRONT)
def test_no_front_matter_makes_the_reader_raise(front: dict[str, object]) -> None:
    report = read_report(Stage.REVIEW, verdict_file("07-review.md", **front))
    if isinstance(report, Report):
        assert str(front["verdict"]).strip().lower() == report.value
    else:
        assert report


# ------------------------------------------------------------------------------------------------ QG-0


@pytest.mark.parametrize(
    ("title", "text", "problems"),
    [
        ("12345", "x" * 20, []),
        ("x" * 200, "x" * 20, []),
        ("  12345  ", "x" * 20, []),
        ("1234", "x" * 20, [Qg0Problem(field="title", value=4, low=5, high=200)]),
        ("  1234  ", "x" * 20, [Qg0Problem(field="title", value=4, low=5, high=200)]),
        ("x" * 201, "x" * 20, [Qg0Problem(field="title", value=201, low=5, high=200)]),
        ("12345", "x" * 19, [Qg0Problem(field="description", value=19, low=20, high=None)]),
        ("12345", f"\n {'x' * 19} \n", [Qg0Problem(field="description", value=19, low=20, high=None)]),
        (
            "",
            "",
            [
                Qg0Problem(field="title", value=0, low=5, high=200),
                Qg0Problem(field="description", value=0, low=20, high=None),
            ],
        ),
    ],
)
def test_the_entry_lists_every_problem_with_value_and_limits(title: str, text: str, problems: list[Qg0Problem]) -> None:
    assert list(qg0(title, text, make_limits())) == problems


def test_the_entry_heeds_the_limits_in_force() -> None:
    limits = make_limits(qg0_title_min=1, qg0_title_max=3, qg0_description_min=0)
    assert qg0("abc", "", limits) == ()
    assert qg0("abcd", "", limits) == (Qg0Problem(field="title", value=4, low=1, high=3),)
