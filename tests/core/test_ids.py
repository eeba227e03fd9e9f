"""Ids and the names built from them: nothing that a board says can bend a ref, a path or a branch."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core import ids
from orch.core.ids import SLUG_MAX, Attempt, RunId, Sha, TaskRow, WorkItemId

ITEM = WorkItemId("SHOP-12")
UNSAFE = re.compile(r"\.\.|[\x00-\x20~^:?*\[\\\x7f]|@\{|//|\.lock(?:/|$)|^[-/.]|[/.]$")
"""What git refuses in a ref, or reads as an option."""


def assert_safe_ref(name: str) -> None:
    assert not UNSAFE.search(name), name
    assert name.isascii()


@pytest.mark.parametrize(
    ("slug", "branch"),
    [
        ("add-a-basket", "feature/SHOP-12-add-a-basket"),
        ("", "feature/SHOP-12-untitled"),
        ("-", "feature/SHOP-12-untitled"),
        ("--force", "feature/SHOP-12-untitled"),
        ("../../etc/passwd", "feature/SHOP-12-untitled"),
        ("a b", "feature/SHOP-12-untitled"),
        ("a~1", "feature/SHOP-12-untitled"),
        ("a\n", "feature/SHOP-12-untitled"),
        ("корзина", "feature/SHOP-12-untitled"),
        ("UPPER", "feature/SHOP-12-untitled"),
        ("a.lock", "feature/SHOP-12-untitled"),
        ("a@{1}", "feature/SHOP-12-untitled"),
        ("x" * 60, "feature/SHOP-12-" + "x" * SLUG_MAX),
        ("x" * (SLUG_MAX - 1) + "-yy", "feature/SHOP-12-" + "x" * (SLUG_MAX - 1)),
    ],
)
def test_a_branch_takes_a_safe_slug_and_calls_any_other_untitled(slug: str, branch: str) -> None:
    assert ids.make_branch(ITEM, slug) == branch


def test_another_take_gives_another_branch_for_the_same_slug() -> None:
    takes = [ids.make_branch(ITEM, "basket", take) for take in (1, 2, 3)]
    assert takes == ["feature/SHOP-12-basket", "feature/SHOP-12-basket-2", "feature/SHOP-12-basket-3"]


@given(st.text(max_size=80), st.integers(min_value=1, max_value=99))
def test_no_slug_bends_a_branch(slug: str, take: int) -> None:
    branch = ids.make_branch(ITEM, slug, take)
    assert_safe_ref(branch)
    assert re.fullmatch(r"feature/SHOP-12-[a-z0-9-]+", branch)
    assert len(branch) <= len("feature/SHOP-12-") + SLUG_MAX + 3


@given(st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True))
def test_a_branch_gives_its_work_item_and_slug_back(slug: str) -> None:
    branch = ids.make_branch(ITEM, slug)
    found = re.fullmatch(r"feature/([A-Z0-9]+-\d+)-(.+)", branch)
    assert found is not None
    assert ids.parse_work_item_id(found[1]) == ITEM
    assert found[2] == slug


@pytest.mark.parametrize(
    "hostile", ["SHOP-12#cancelled-1", "shop-12", "SHOP-0", "SHOP-01", "../SHOP-1", "SHOP-1\n", "SHOP-١", ""]
)
def test_a_branch_or_folder_is_never_made_of_something_that_is_no_work_item_id(hostile: str) -> None:
    with pytest.raises(ValueError, match="work item id"):
        ids.make_branch(WorkItemId(hostile), "slug")
    with pytest.raises(ValueError, match="work item id"):
        ids.artefact_dir(WorkItemId(hostile))


@given(st.integers(min_value=0), st.integers(min_value=0))
def test_refs_are_made_of_numbers_only(one: int, other: int) -> None:
    refs = {
        ids.agent_ref(RunId(one), Attempt(other)): "refs/agents/",
        ids.archive_ref(TaskRow(one), other): "refs/orch/archive/",
        ids.docs_ref(TaskRow(one), other): "refs/orch/docs/",
    }
    for ref, folder in refs.items():
        assert_safe_ref(ref)
        assert re.fullmatch(re.escape(folder) + r"\d+(/\d+)?", ref)


@pytest.mark.parametrize("build", [ids.archive_ref, ids.docs_ref, ids.agent_ref])
def test_a_ref_refuses_text_that_is_no_number(build: Callable[[object, object], str]) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        build("../heads/main", 1)


def test_a_candidate_s_ref_is_named_by_its_commit_and_nothing_else() -> None:
    assert ids.candidate_ref(Sha("a" * 40)) == f"refs/orch/candidates/{'a' * 40}"
    with pytest.raises(ValueError, match="full git object id"):
        ids.candidate_ref(Sha("../heads/main"))


def test_the_artefact_folder_is_inside_the_docs() -> None:
    assert ids.artefact_dir(ITEM) == "docs/work-items/SHOP-12"


Parser = Callable[[str], str]


@pytest.mark.parametrize(
    ("parse", "good"),
    [
        (ids.parse_sha, ["0" * 40, "f" * 64]),
        (ids.parse_work_item_id, ["A-1", "SHOP2-123456789"]),
        (ids.parse_prefix, ["A", "SHOP", "A123456789"]),
        (ids.parse_project_name, ["a", "shop", "shop-2", "2", "x" * 40]),
    ],
)
def test_good_ids_are_taken_as_they_are(parse: Parser, good: list[str]) -> None:
    assert [parse(text) for text in good] == good


@pytest.mark.parametrize(
    ("parse", "bad"),
    [
        (ids.parse_sha, ["", "0" * 39, "0" * 41, "F" * 40, "0" * 40 + "\n", "HEAD", "-" + "0" * 39]),
        (ids.parse_work_item_id, ["", "SHOP", "SHOP-", "SHOP-0", "shop-1", "2A-1", "SHOP-1234567890", "SHOP-1 ", "SHOP--1"]),
        (ids.parse_prefix, ["", "shop", "1A", "SHOP-", "A" * 11, "ÄB", "A\n"]),
        (ids.parse_project_name, ["", "-a", "a-", "Shop", "a/b", "..", "a b", "x" * 41, "a\n", "é"]),
    ],
)
def test_bad_ids_are_refused_in_one_line(parse: Parser, bad: list[str]) -> None:
    for text in bad:
        with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
            parse(text)


@given(st.text(max_size=60), st.sampled_from([ids.parse_sha, ids.parse_work_item_id, ids.parse_prefix, ids.parse_project_name]))
def test_what_a_parser_lets_through_is_safe_in_a_path_and_as_an_argument(text: str, parse: Parser) -> None:
    try:
        safe = parse(text)
    except ValueError:
        return
    assert safe == text
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", safe)


@pytest.mark.parametrize(("prefix", "number"), [("shop", 1), ("SHOP", 0), ("SHOP", -1), ("SHOP", 10**9)])
def test_a_work_item_id_is_made_of_a_good_prefix_and_a_positive_number(prefix: str, number: int) -> None:
    assert ids.make_work_item_id("SHOP", 12) == ITEM
    with pytest.raises(ValueError, match=r"SHOP|prefix"):
        ids.make_work_item_id(prefix, number)
