"""What people read: both languages say everything, and nobody else's words can do more than be read."""

import json
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from orch.core import render
from orch.core.ids import ProjectName, Sha, WorkItemId
from orch.core.messages import CommandReport, CommandVerdict
from orch.core.model import (
    AccountPause,
    Awaiting,
    DeployQuestion,
    DeployState,
    Finding,
    Freeze,
    FreezeCause,
    Outcome,
    Park,
    ParkReason,
    RunMode,
    Task,
    Usage,
)
from orch.core.render.catalogue import CATALOGUES, say
from orch.core.render.quote import clean, code, fenced, inline, link, plain, quoted
from orch.core.stages import TERMINAL, Role, Stage
from orch.core.statuses import TRIGGERS, Status
from tests.builders import make_deploy, make_watch
from tests.core.samples import NOW, SHA_A, SHA_B, ago, make_run, make_task

LANGUAGES = sorted(CATALOGUES)
ITEM = WorkItemId("SHOP-12")
CANARY = "canary"
HOSTILE = (
    "```\n# canary heading\n",
    "~~~~\n<script>canary()</script>\n",
    "`" * 500 + "\ncanary",
    "<img src=x onerror=canary>",
    "![canary](http://evil.example/p.png) [canary](javascript:canary)",
    "*canary* **canary** _canary_ ~~canary~~",
    "> canary\n\n- canary\n1. canary\n\n---\ncanary\n===\n",
    "canary | canary\n--- | ---\ncanary | canary",
    "&lt;canary&gt; &#64;canary",
    "\\`canary\\` \\",
    "[canary]: http://evil.example\n\n[canary]",
    "\x1b[31mcanary\x1b[0m \x1b]0;canary\x07 \u202ecanary\u2066 \x00",
    "    canary code by indent\n\tcanary",
    "# canary",
    "1) canary",
    "canary\r```\u2028canary\u0085```",
    "\ud800 canary",
    "@canary closes #12 and shop/repo!7",
    "<!-- canary",
)
MD = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def tokens_of(text: str) -> Iterator[Token]:
    for token in MD.parse(text):
        yield token
        yield from token.children or []


def every_text(words: str, language: str) -> Iterator[tuple[str, str]]:
    """Yield each kind of text with *words* in every place that others fill, as (name, text)."""
    task = make_task(title=words, description=words, pr_number=4, head=SHA_A, note=words, url="https://board.example/SHOP-12")
    finding = Finding(title=words, severity=words, path=words, detail=words)
    park = Park(reason=ParkReason.BUDGET, since=NOW, evidence=words)
    yield "qg0", render.render_qg0_failed([render.render_qg0_problem("title", 2, 5, 200, language), words], language)
    yield "launched", render.render_run_launched(Role.ANALYST, words, words, RunMode.CONTINUATION, language)
    yield "finished", render.render_run_finished(Role.TESTER, Outcome.FAILED, words, Usage(input=5), 0.5, 61, language)
    yield "plan", render.render_plan_ready(ITEM, [(words, ""), (words, "https://forge.example/a"), ("n", words)], SHA_A, language)
    yield "questions", render.render_questions(ITEM, words, language)
    yield "returned", render.render_returned(Stage.REVIEW, words, [finding] * 50, words, 2, 3, language)
    yield "retry", render.render_retry(words, words, 1, 3, language)
    yield "parked", render.render_parked(park, language)
    yield "resumed", render.render_resumed(words, Stage.REVIEW, language)
    yield "sent back", render.render_sent_back(words, Stage.REVIEW, words, [finding] * 50, language)
    freeze = Freeze(project=ProjectName("shop"), cause=FreezeCause.PERSON, since=NOW, by=words, detail=words)
    yield "freeze", render.render_freeze(ITEM, freeze, language)
    yield "voided", render.render_confirm_voided(ITEM, freeze, language)
    yield "fix", render.render_fix(ITEM, words, language)
    watch = make_watch(detail=words)
    for rollback in (True, False):
        yield "degraded", render.render_degraded(ITEM, watch, freeze if rollback else None, language, rollback=rollback)
    for verdict in CommandVerdict:
        report = CommandReport(verdict=verdict, tail=words)
        yield f"rollback {verdict}", render.render_rolled_back(ITEM, report, language)
    for cause in FreezeCause:
        yield f"frozen {cause}", render.render_frozen(replace(freeze, cause=cause), language)
    yield "thawed", render.render_thawed(freeze, ITEM, SHA_A, language)
    yield "healthy", render.render_healthy(ITEM, watch, 600, language)
    yield "reverting", render.render_reverting(ITEM, words, language)
    pause = AccountPause(cause=Outcome.STALLED, since=NOW, until=NOW, detail=words)
    yield "account paused", render.render_account_paused(words, pause, language)
    question = DeployQuestion(work_item=ITEM, sha=SHA_A, carries=(words,) * 50, diff=words)
    yield "confirm", render.render_confirm_deploy(question, language)
    deploy = make_deploy(sha=SHA_A, state=DeployState.NO_RESULT, detail="lost")
    yield "deployed", render.render_deployed(deploy, ITEM, 5.0, language, unhealthy=words)
    yield "stopped after deploy", render.render_stopped_after_deploy(ITEM, deploy, language)
    yield "stop late", render.render_stopped_too_late(ITEM, language)
    yield "reminder", render.render_reminder(task, 9000.0, language)
    yield "done", render.render_done(ITEM, SHA_A, words, language)
    yield "useless", render.render_trigger_useless(Status.APPROVED, task, language)
    yield "not allowed", render.render_not_allowed(words, words, language)
    yield "released", render.render_dependency_released(words, language)
    yield "pr body", render.render_pr_body(task, language)
    yield "pr status", render.render_pr_status(task, [make_run(model=words, detail=words)] * 50, language)
    yield "request", render.render_request(task, language)
    yield "ci", render.render_ci_evidence(words, language)


# ------------------------------------------------------------------------------------------------ catalogues


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_catalogue_says_the_same_with_the_same_placeholders(language: str) -> None:
    english, other = CATALOGUES["en"], CATALOGUES[language]
    assert other.keys() == english.keys()
    assert {key: placeholders(other[key]) for key in english} == {key: placeholders(english[key]) for key in english}


def test_the_catalogues_are_in_their_own_language() -> None:
    cyrillic = re.compile("[а-яё]", re.IGNORECASE)
    names = {key for key, text in CATALOGUES["ru"].items() if not cyrillic.search(text)}
    assert names <= {"role.stream"}
    assert not [key for key, text in CATALOGUES["en"].items() if cyrillic.search(text)]


@pytest.mark.parametrize(
    ("language", "means"),
    [("en", "en"), ("ru", "ru"), ("RU", "ru"), ("ru-RU", "ru"), (" ru_RU ", "ru"), ("de", "en"), ("", "en"), ("r\x00u", "en")],
)
def test_an_unknown_language_is_shown_in_english(language: str, means: str) -> None:
    assert say(language, "status.none") == CATALOGUES[means]["status.none"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_member_of_every_closed_set_has_a_name(language: str) -> None:
    for stage in Stage:
        assert render.render_already_decided(stage, language)
        assert render.render_gate(stage, language)
    for role in Role:
        assert render.render_run_launched(role, "scripted", "", RunMode.NEW_ATTEMPT, language)
    for outcome in Outcome:
        assert render.render_run_finished(Role.ANALYST, outcome, "", Usage(), 0.0, 0.0, language)
    for reason in ParkReason:
        assert render.render_parked(Park(reason=reason, since=NOW, evidence=""), language)
    for trigger in TRIGGERS:
        assert render.render_trigger_useless(trigger, None, language)


# ------------------------------------------------------------------------------------------------ what each text says


def test_a_card_that_is_not_let_in_hears_each_problem_with_value_and_limit() -> None:
    problems = [
        render.render_qg0_problem("title", 3, 5, 200, "en"),
        render.render_qg0_problem("description", 7, 20, None, "en"),
    ]
    assert problems == ["title: 3 characters, allowed are 5 to 200", "description: 7 characters, at least 20 are needed"]
    text = render.render_qg0_failed(problems, "en")
    assert all(f"- {problem}" in text for problem in problems)


def test_a_field_that_the_catalogue_does_not_know_is_named_as_it_is() -> None:
    assert render.render_qg0_problem("labels", 0, 1, None, "ru").startswith("labels: ")


def test_the_end_of_a_run_tells_outcome_time_tokens_with_the_cached_part_and_cost() -> None:
    usage = Usage(input=2_000, output=1_500, cache_read=10_000, cache_creation=345)
    text = render.render_run_finished(Role.DEVELOPER, Outcome.SUCCEEDED, "Added the basket.", usage, 0.129, 125, "en")
    assert text == ("**Developer** succeeded after 2 m 5 s · in 12.3k (cached 10.0k) · out 1.5k · $0.13\n\n> Added the basket.  ")


def test_the_plan_comment_links_the_artefacts_and_says_both_ways_on() -> None:
    text = render.render_plan_ready(ITEM, [("01-brd.md", "https://forge.example/x?a=1"), ("02-acceptance.md", "")], SHA_A, "en")
    assert "[01-brd.md](<https://forge.example/x?a=1>)" in text
    assert "- 02-acceptance.md" in text
    assert "Approved" in text
    assert "`orch approve SHOP-12`" in text
    assert "Rejected" in text
    assert "`aaaaaaaaaaaa`" in text


def test_a_return_lists_the_findings_and_the_evidence_and_how_often_it_came_back() -> None:
    finding = Finding(title="No test", severity="major", path="src/basket.py", detail="Cover the empty basket.")
    text = render.render_returned(Stage.REVIEW, "review", [finding], "line 1\nline 2", 2, 3, "en")
    assert "Stage **review**: the review asks for changes." in text
    assert "(return 2 of 3)" in text
    assert "- **major** No test (`src/basket.py`): Cover the empty basket." in text
    assert "```text\nline 1\nline 2\n```" in text


def test_more_findings_than_are_shown_are_counted() -> None:
    text = render.render_returned(Stage.TESTING, "testing", [Finding(title="x")] * 25, "", 1, 3, "en")
    assert text.count("**major** x") == 20
    assert "and 5 more" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_park_says_what_takes_the_task_on(language: str) -> None:
    for reason in ParkReason:
        text = render.render_parked(Park(reason=reason, since=NOW, evidence="it broke"), language)
        assert "it broke" in text
        assert ("orch resume" in text) is (reason not in (ParkReason.INFRASTRUCTURE, ParkReason.BUDGET))


def test_a_cancelled_task_that_had_landed_is_told_the_truth() -> None:
    assert f"in main at `{SHA_A}`, not deployed; the next deploy carries it" in render.render_cancelled(ITEM, SHA_A, "en")
    assert "main" not in render.render_cancelled(ITEM, None, "en")


def test_confirming_a_deploy_names_the_sha_and_everything_it_carries() -> None:
    carries = ("SHOP-9", "SHOP-12")
    question = DeployQuestion(work_item=ITEM, sha=SHA_A, carries=carries, diff=" src/a.py | 2 +-", tested_exit=0, tested_s=65.0)
    text = render.render_confirm_deploy(question, "en")
    assert SHA_A in text
    assert "- SHOP-9\n- SHOP-12" in text
    assert " src/a.py | 2 +-" in text
    assert "Confirm Deploy" in text
    assert "exit 0 after 1 m 5 s" in text
    assert "No test run" in render.render_confirm_deploy(replace(question, tested_exit=None), "en")


@pytest.mark.parametrize("state", [DeployState.FAILED, DeployState.ROLLED_BACK, DeployState.NO_RESULT])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_after_a_deploy_that_did_not_succeed_the_question_says_so(state: DeployState, language: str) -> None:
    question = DeployQuestion(work_item=ITEM, sha=SHA_A, after=make_deploy(sha=SHA_B, state=state))
    told = render.render_confirm_deploy(question, language)
    assert SHA_B[:12] in told
    assert SHA_B[:12] not in render.render_confirm_deploy(replace(question, after=None), language)


DETAILS = ("", "gave-up", "unstarted", "timed-out", "lost", "agent-failed", "agent-unstarted", "said-fail", "no-verdict")


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_way_in_which_a_deploy_fails_has_its_sentence(detail: str, language: str) -> None:
    told = render.render_deploy_failure(make_deploy(state=DeployState.FAILED, detail=detail), "the end", language)
    assert told.endswith("\nthe end")
    assert "{" not in told


@pytest.mark.parametrize(
    ("task", "action"),
    [
        (None, "move it to To Analyse"),
        (make_task(stage=Stage.DONE), "orch adopt"),
        (make_task(stage=Stage.CANCELLED), "start it anew"),
        (make_task(cancel_requested_at=NOW), "A STOP of it is being carried out"),
        (make_task(park=Park(reason=ParkReason.NO_CI, since=NOW, evidence="")), "orch resume SHOP-12"),
        (make_task(awaiting=Awaiting.APPROVAL), "Approved"),
        (make_task(awaiting=Awaiting.INPUT), "answers"),
        (make_task(stage=Stage.DEPLOY, awaiting=Awaiting.CONFIRM), "Confirm Deploy"),
        (make_task(stage=Stage.DEPLOY, awaiting=Awaiting.DEPLOYING), "Its deploy is going"),
        (make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.MERGE), "pull request to be merged"),
        (make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING), "STOP ends it"),
        (make_task(), "STOP ends it"),
    ],
)
def test_a_useless_trigger_is_answered_with_the_action_that_exists_now(task: Task | None, action: str) -> None:
    text = render.render_trigger_useless(Status.TO_ANALYSE, task, "en")
    assert text.startswith("**To Analyse** does nothing here now.")
    assert action in text


@pytest.mark.parametrize(
    ("shown", "current", "words"),
    [
        (SHA_A, SHA_B, ("`aaaaaaaaaaaa`", "`bbbbbbbbbbbb`", "Nothing was changed")),
        (None, SHA_B, ("names no version", "`bbbbbbbbbbbb`")),
        (SHA_A, None, ("nothing to decide on",)),
        (None, None, ("nothing to decide on",)),
    ],
)
def test_a_stale_decision_names_both_versions(shown: Sha | None, current: Sha | None, words: tuple[str, ...]) -> None:
    text = render.render_stale_decision(shown, current, "en")
    assert all(word in text for word in words)


def test_small_replies() -> None:
    assert "Ann" in render.render_not_allowed("Ann", "approve", "en")
    assert "SHOP-3" in render.render_dependency_released("SHOP-3", "en")
    assert "without a comment" in render.render_no_reason("en")
    assert SHA_A in render.render_landed(ITEM, SHA_A, "en")
    assert render.render_done(ITEM, None, "no deploy command", "en") == "**SHOP-12** is done.\n\nno deploy command"
    assert "Ann" in render.render_resumed("Ann", Stage.TESTING, "en")


def test_the_pull_requests_title_is_one_line_and_says_wip_until_the_review_passes() -> None:
    task = make_task(title="Add\n a  basket, closes #7 for @ann")
    assert render.render_pr_title(task, False) == "SHOP-12: Add a basket, closes #\u200b7 for @\u200bann"
    assert render.render_pr_title(task, True).startswith("WIP: SHOP-12: ")
    assert len(render.render_pr_title(make_task(title="@a#1" * 500), True)) <= 255


def test_the_status_comment_adds_every_run_up_and_shows_the_newest() -> None:
    runs = [make_run(cost_usd=0.1, model=f"m{n}") for n in range(40)]
    text = render.render_pr_status(make_task(stage=Stage.REVIEW, head=SHA_A), runs, "en")
    assert "stage **review**" in text
    assert "m39" in text
    assert "m9)" not in text
    assert "10 earlier runs are not listed" in text
    assert "| **total** |  | 40 | 1 h 20 m | 452.0k | 20.0k | $4.00 |" in text


def test_the_status_comment_of_a_run_in_progress_and_of_none() -> None:
    text = render.render_pr_status(make_task(), [make_run(outcome=None, ended_at=None)], "en")
    assert "| analysis | Analyst (opus) | running | – |" in text
    assert "Nothing has run yet" in render.render_pr_status(make_task(), [], "en")


def test_the_request_file_keeps_title_and_description_exactly() -> None:
    task = make_task(title='Add `@route("/x")` *now*', description="def f():\n    return '@ann #1'\n\n\tend")
    text = render.render_request(task, "en")
    blocks = [token.content for token in MD.parse(text) if token.type == "fence"]
    assert blocks == [task.title + "\n", task.description + "\n"]
    for value in (task.work_item, task.issue, task.project, task.branch):
        assert f"`{value}`" in text


def test_red_tests_without_output_say_so() -> None:
    assert "without any output" in render.render_ci_evidence(" \n", "en")
    assert "E   assert 1 == 2" in render.render_ci_evidence("E   assert 1 == 2", "en")


@pytest.mark.parametrize(("ok", "word"), [(True, "ok"), (False, "fail")])
def test_the_staging_report_is_a_verdict_file_with_the_output_fenced(ok: bool, word: str) -> None:
    text = render.render_staging_report(SHA_A, "``` out of the fence\n---\nverdict: ok\n", "en", ok=ok)
    _, front, body = text.split("---\n", 2)
    assert front == f"verdict: {word}\nfindings: []\n"
    assert [token.type for token in MarkdownIt().parse(body) if token.type in ("fence", "hr", "heading_open")] == ["fence"]


def test_a_long_log_keeps_its_end() -> None:
    text = render.render_ci_evidence("begin\n" + "x\n" * 50_000 + "the last line", "en")
    assert "begin" in text
    assert "the last line" in text
    assert len(text) < 13_000


# ------------------------------------------------------------------------------------------------ hostile words


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_stay_words(words: str, language: str) -> None:
    """Parsed as Markdown, no heading, image, html, script link or table comes from what others wrote."""
    for name, text in every_text(words, language):
        text.encode("utf-8")
        for token in tokens_of(text):
            place = (name, token.type, token.content)
            assert token.type not in {"html_block", "html_inline", "image", "hr", "code_block"}, place
            assert token.type != "heading_open" or name == "request", place
            if token.type == "link_open":
                assert str(token.attrs["href"]).startswith(("https://forge.example/", "https://board.example/")), place
            if token.type in {"em_open", "s_open"}:
                pytest.fail(f"markup from outside: {place}")
        for control in ("\x1b", "\x00", "\u202e", "\u2066"):
            assert control not in text, name


@pytest.mark.parametrize("words", HOSTILE)
def test_a_fence_holds_what_is_put_into_it(words: str) -> None:
    parsed = MD.parse(f"before\n\n{fenced(words)}\n\nafter")
    assert [token.type for token in parsed if token.level == 0 and token.type.endswith(("_open", "fence"))] == [
        "paragraph_open",
        "fence",
        "paragraph_open",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_is_mentioned_and_nothing_is_referenced_outside_code(language: str) -> None:
    for name, text in every_text("@ann closes #12 and !7 @all", language):
        for token in tokens_of(text):
            if token.type == "text":
                assert not re.search(r"@\w|[#!]\d", token.content), (name, token.content)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("unit", ["x", "`", "@", "\\", "```\n", "&", "\u202e", "\n", "я"])
def test_every_text_is_bounded(unit: str, language: str) -> None:
    for name, text in every_text(unit * 200_000, language):
        assert len(text) < (120_000 if name == "request" else 60_000), name


@given(st.text(max_size=300))
def test_any_text_stays_inside_its_fence(words: str) -> None:
    parsed = MD.parse(f"{fenced(words)}\n\nafter")
    assert [token.type for token in parsed][:2] == ["fence", "paragraph_open"]
    assert parsed[2].content == "after"


@given(st.text(max_size=200))
def test_any_text_is_shown_as_itself_when_inline(words: str) -> None:
    parsed = MD.parse(f"- {inline(words)} end")
    children = next(token.children or [] for token in parsed if token.type == "inline")
    assert {token.type for token in children} <= {"text", "text_special"}
    shown = "".join(token.content for token in children).replace("\u200b", "")
    assert shown.split() == [*" ".join(clean(words).split()).split(), "end"]


@given(st.text(max_size=200), st.sampled_from([quoted, code, inline, plain, fenced]))
def test_any_text_comes_out_clean_and_within_bounds(words: str, quote: Callable[[str, int], str]) -> None:
    shown = quote(words, 50)
    assert len(shown) <= 2 * 50 * 3 + 60
    assert "\x1b" not in shown
    json.dumps(shown, ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://forge.example/a/b?x=1#L3", True),
        ("http://127.0.0.1:3000/x", True),
        ("", False),
        ("javascript:alert(1)", False),
        ("https://a.example/x> <b>", False),
        ("https://a.example/x\n", False),
        ("/relative", False),
        ("https://a.example/" + "x" * 3000, False),
    ],
)
def test_only_plain_http_is_linked(url: str, linked: bool) -> None:
    assert link("name", url) == (f"[name](<{url}>)" if linked else "name")


# ------------------------------------------------------------------------------------------------ figures


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0 s"),
        (float("nan"), "0 s"),
        (float("inf"), "0 s"),
        (0.4, "0 s"),
        (45, "45 s"),
        (59.6, "1 m"),
        (125, "2 m 5 s"),
        (3_600, "1 h"),
        (3_780, "1 h 3 m"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert render.render_duration(seconds) == shown


@pytest.mark.parametrize(
    ("n", "shown"),
    [
        (-1, "0"),
        (0, "0"),
        (999, "999"),
        (1_000, "1.0k"),
        (12_345, "12.3k"),
        (999_949, "999.9k"),
        (999_950, "1.0M"),
        (1_234_567, "1.2M"),
    ],
)
def test_tokens(n: int, shown: str) -> None:
    assert render.render_tokens(n) == shown


@pytest.mark.parametrize(
    ("usd", "shown"),
    [(0, "$0.00"), (-1, "$0.00"), (float("nan"), "$0.00"), (0.0042, "$0.0042"), (0.129, "$0.13"), (1234.5, "$1,234.50")],
)
def test_costs(usd: float, shown: str) -> None:
    assert render.render_cost(usd) == shown


def test_moments_are_in_utc() -> None:
    assert render.render_moment(ago(minutes=5)) == "2026-05-04 11:55 UTC"


def test_terminal_stages_have_nothing_left_to_pass() -> None:
    texts = {render.render_gate(stage, "en") for stage in TERMINAL}
    assert texts == {"Nothing is left to pass."}
