"""What a card's edit, a refused landing and a process that lives on look like to people and agents."""

from dataclasses import replace

import pytest

from orch.core.ids import WorkItemId
from orch.core.model import Survivor
from orch.core.render import (
    render_card_diff,
    render_landing_refused,
    render_left_behind,
    render_pr_body,
    render_pr_title,
    render_request,
    render_survivors,
)
from tests.core.samples import SHA_A, make_task


def test_an_edit_of_a_card_is_a_diff_of_both_its_texts_and_none_is_empty() -> None:
    task = make_task(title="Add a basket", description="Keep what was chosen.\nFor a day.\n")
    assert render_card_diff(task) == ""
    shown = render_card_diff(
        replace(task, newest_title="Add a big basket", newest_description="Keep what was chosen.\nFor ever.\n")
    )
    assert [line for line in shown.splitlines() if line[0] in "+-" and line[1:2] not in "+-"] == [
        "-Add a basket",
        "+Add a big basket",
        "-For a day.",
        "+For ever.",
    ]
    assert render_card_diff(replace(task, newest_title="Add a big basket")).count("@@") == 2


def test_the_request_and_the_pull_request_say_what_the_card_says_now() -> None:
    task = make_task(newest_title="Add a big basket", newest_description="For ever.")
    for text in (render_request(task, "en"), render_pr_title(task, False) + render_pr_body(task, "en")):
        assert ("Add a big basket" in text, "For ever." in text, task.description in text) == (True, True, False)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_refused_landing_names_base_files_and_who_else_touched_them(language: str) -> None:
    files, names = [f"f{number}.py" for number in range(60)], [WorkItemId("SHOP-1"), WorkItemId("SHOP-2")]
    text = render_landing_refused("conflict", SHA_A, "x" * 50_000 + "the end", files, names, language)
    assert all(told in text for told in (SHA_A, "f0.py", "f49.py", "SHOP-1", "SHOP-2", "the end"))
    assert "f50.py" not in text
    assert len(text) < 12_000
    assert "\n\n" not in render_landing_refused("land_red", SHA_A, "", [], [], language)


def test_what_could_not_be_ended_is_named_by_id_name_and_start_time() -> None:
    left = [Survivor(pid=number, started=9, name="`sh`") for number in range(1, 30)]
    text = render_survivors(left, "en")
    assert ("process 1 (`sh`, start time 9)" in text, "and 9 more" in text) == (True, True)
    comment = render_left_behind(WorkItemId("SHOP-1"), left[:1], "en", stopped=True)
    assert "\\`sh\\`" in comment
