"""What doctor makes of Plane's and Gitea's answers, as tables."""

from dataclasses import replace

import pytest

from orch.core.doctor import Finding, Level
from orch.core.doctor_services import CARDS_MAX, GiteaFacts, Hook, PlaneFacts, judge_gitea, judge_plane
from orch.core.model import CiSource, DeploySettings
from orch.core.render import render_diagnosis
from orch.core.render.catalogue import CATALOGUES
from orch.core.statuses import DEFAULT_NAMES, REQUIRED, BoardState, Status
from tests.builders import make_project

ALL = tuple(BoardState(id=f"id-{status}", name=name) for status, name in DEFAULT_NAMES.items())
PROJECT = make_project(board="plane", forge="gitea", ci=CiSource.FORGE)
WELL = GiteaFacts(hooks=(Hook(active=True),))


def keys(findings: list[Finding], level: Level) -> list[str]:
    return [finding.key for finding in findings if finding.level is level]


def without(*absent: Status) -> PlaneFacts:
    return PlaneFacts(states=tuple(state for state in ALL if state.name not in {DEFAULT_NAMES[each] for each in absent}))


def test_a_whole_board_is_well_and_the_webhook_is_a_hint_only() -> None:
    assert keys(judge_plane(PROJECT, without()), Level.OK) == ["board", "board.webhook"]


@pytest.mark.parametrize("status", sorted(REQUIRED))
def test_each_status_that_is_needed_is_a_fault_where_it_is_missing(status: Status) -> None:
    findings = judge_plane(PROJECT, without(status))
    assert keys(findings, Level.FAULT) == ["board.missing"]
    assert DEFAULT_NAMES[status] in findings[0].values["names"]


def test_a_renamed_status_is_there_under_its_other_name() -> None:
    renamed = replace(PROJECT, statuses={Status.DONE: "Shipped"})
    states = (*without(Status.DONE).states, BoardState(id="x", name="shipped "))
    assert keys(judge_plane(renamed, PlaneFacts(states=states)), Level.FAULT) == []


def test_confirm_deploy_is_missed_only_where_a_deploy_asks_for_it() -> None:
    asks = replace(PROJECT, deploy=DeploySettings(command=("deploy",)))
    assert keys(judge_plane(PROJECT, without(Status.CONFIRM_DEPLOY)), Level.WARNING) == []
    assert keys(judge_plane(asks, without(Status.CONFIRM_DEPLOY)), Level.WARNING) == ["board.no_confirm"]
    assert keys(judge_plane(PROJECT, without(Status.STOP)), Level.WARNING) == ["board.no_stop"]


def test_cards_in_trigger_statuses_are_listed_up_to_a_limit() -> None:
    cards = tuple((f"Card {n}", f"id-{Status.STOP}" if n % 2 else f"id-{Status.BACKLOG}") for n in range(2 * CARDS_MAX + 4))
    [finding] = [each for each in judge_plane(PROJECT, replace(without(), standing=cards)) if each.level is Level.WARNING]
    assert finding.values["cards"].count("STOP") == CARDS_MAX
    assert finding.values["cards"].endswith("+2")


GITEA: list[tuple[GiteaFacts, Level, str]] = [
    (GiteaFacts(trouble="HTTP 401"), Level.FAULT, "forge.trouble"),
    (replace(WELL, refused="protected"), Level.FAULT, "forge.landing"),
    (replace(WELL, marks=False), Level.FAULT, "forge.marking"),
    (replace(WELL, marks=None, marks_detail="no open one"), Level.WARNING, "forge.marking_unknown"),
    (replace(WELL, detects=True), Level.FAULT, "forge.autodetect"),
    (replace(WELL, hooks=()), Level.WARNING, "forge.no_hook"),
    (replace(WELL, hooks=(Hook(active=False),)), Level.WARNING, "forge.hook_off"),
    (replace(WELL, hooks=(Hook(active=True, missing=("push",)),)), Level.WARNING, "forge.hook_events"),
    (replace(WELL, hooks=None), Level.OK, "forge.hook_unseen"),
    (replace(WELL, silent=("ci",)), Level.WARNING, "forge.contexts"),
    (WELL, Level.OK, "forge.hook"),
]


@pytest.mark.parametrize(("facts", "level", "key"), GITEA, ids=[key for _, _, key in GITEA])
def test_what_gitea_answers_is_judged(facts: GiteaFacts, level: Level, key: str) -> None:
    findings = judge_gitea(PROJECT, facts)
    assert key in keys(findings, level)
    assert ("forge" in keys(findings, Level.OK)) == (keys(findings, Level.FAULT) == [])


def test_every_sentence_about_the_services_is_said_and_below_ok_has_a_remedy_in_each_language() -> None:
    asks = replace(PROJECT, deploy=DeploySettings(command=("deploy",)))
    everything = (Status.DONE, Status.STOP, Status.CONFIRM_DEPLOY, Status.ANALYSIS)
    poor = without(*everything)
    poor = replace(
        poor, states=(*poor.states, BoardState(id="x", name=" backlog")), standing=(("A card", f"id-{Status.APPROVED}"),)
    )
    findings = [each for facts, _, _ in GITEA for each in judge_gitea(PROJECT, facts)]
    findings += [each for facts in (without(), poor, PlaneFacts(trouble="HTTP 403")) for each in judge_plane(asks, facts)]
    said = {finding.key for finding in findings}
    known = {key.removeprefix("doctor.") for key in CATALOGUES["en"] if key.startswith(("doctor.board", "doctor.forge"))}
    assert {key for key in known if not key.endswith(".do")} == said
    for finding in findings:
        for language in CATALOGUES:
            found, remedy = render_diagnosis(finding, language)
            assert found
            assert "{" not in found + remedy
            assert bool(remedy) == (finding.level is not Level.OK)


def test_of_several_hooks_to_the_daemon_the_best_counts() -> None:
    hooks = (Hook(active=False), Hook(active=True, missing=("push",)), Hook(active=True))
    assert keys(judge_gitea(PROJECT, replace(WELL, hooks=hooks)), Level.WARNING) == []
