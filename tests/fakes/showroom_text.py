"""What the agents of the showroom wrote: the artefacts of one task, its code, and the log of the run that goes on."""

from typing import Any

PAPERS: dict[str, str] = {
    "request": (
        "Customers type 'cofee' and find nothing. They should find coffee.\n\n"
        "Support gets three letters a week about it. A search must not get slower than it is: 100 ms at the 95th percentile."
    ),
    "01-brd.md": """# Find products in spite of a typo

## What is wanted

A customer who types *cofee mashine* finds **coffee machines**. Results that match exactly still come first.

## Why

4.1 % of all searches end with no result; in a sample of 200 of them, 131 held a single typo.

## Not part of it

- synonyms ("espresso maker")
- suggestions while typing
""",
    "02-acceptance.md": """# Acceptance

- [ ] `cofee` finds every product that `coffee` finds
- [ ] an exact match stands above every match with a typo
- [ ] two typos in a word of eight letters or more are forgiven, one in a shorter word
- [ ] 95 of 100 searches on 40,000 products take less than 100 ms
""",
    "06-adr/ADR-001-trigram-index.md": """# ADR-001: A trigram index in the database

Status: accepted

## Decision

Products are found by a trigram index (`pg_trgm`) on the title, ranked by similarity; the edit distance is computed for the
first fifty candidates only.

| way | 95th percentile | new parts to run |
| --- | ---: | --- |
| distance for every product | 2,140 ms | none |
| **trigram index** | **38 ms** | **none** |
| a search server | 21 ms | one |

## Consequences

One migration; the index takes 18 MB.
""",
    "07-review.md": """---
verdict: changes_requested
findings:
  - title: The distance is computed for every product
    severity: major
    path: shop/search/fuzzy.py
    detail: 2 s on 40,000 products; ADR-001 asks for the trigram index.
---
# Review

Read whole, and tried on the sample data of 40,000 products.

> The acceptance criteria 1 to 3 hold. The fourth does not.

- [x] exact matches stand first
- [ ] fast enough: **2,140 ms** at the 95th percentile
""",
}
PLAN = {
    "01-brd.md": """# Keep the basket between visits

## What is wanted

A customer who comes back within **30 days** finds the basket as it was left, on every device where they are signed in.

## Why

Of 1,900 baskets that were left last month, 640 belonged to customers who came back within a week.

## Not part of it

- baskets of visitors who never signed in
- reminders by e-mail
""",
    "02-acceptance.md": """# Acceptance

- [ ] signed in on a second device, the basket is the same
- [ ] an article that is sold out stays in it, marked so, and cannot be ordered
- [ ] after 30 days without a visit it is empty
""",
}
CODE = {
    "shop/search/fuzzy.py": "\n".join(f"line_{n} = {n}" for n in range(118)) + "\n",
    "shop/search/query.py": "\n".join(f"query_{n} = {n}" for n in range(64)) + "\n",
    "shop/search/__init__.py": "from shop.search.query import find\n",
    "migrations/0042_trigram_index.sql": (
        "CREATE EXTENSION IF NOT EXISTS pg_trgm;\nCREATE INDEX product_title_trgm ON product USING gin (title gin_trgm_ops);\n"
    ),
    "tests/search/test_fuzzy.py": "\n".join(f"def test_{n}() -> None: ..." for n in range(96)) + "\n",
}
OLD = {"shop/search/query.py": "\n".join(f"old_{n} = {n}" for n in range(31)) + "\n"}


def _said(text: str) -> dict[str, Any]:
    return {"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}


def _used(name: str, **given: str) -> dict[str, Any]:
    return {"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "t", "name": name, "input": given}]}}


def _got(text: str, *, bad: bool = False) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": "t", "content": text, "is_error": bad}
    return {"type": "user", "message": {"content": [block]}}


LOG: list[dict[str, Any]] = [
    {"type": "system", "subtype": "init", "model": "claude-sonnet-4-5-20250929", "tools": []},
    _said("The review asks for the trigram index of ADR-001. I read what is there first."),
    _used("Read", file_path="shop/search/fuzzy.py"),
    _got("def find(text):\n    return sorted(products(), key=lambda each: distance(each.title, text))[:20]"),
    _used("Grep", pattern="distance\\(", path="shop"),
    _got("shop/search/fuzzy.py:12\nshop/search/query.py:40"),
    _said("Two places compute the distance for every product. A migration and a ranked query replace both."),
    _used("Write", file_path="migrations/0042_trigram_index.sql", content=CODE["migrations/0042_trigram_index.sql"]),
    _got("File created."),
    _used(
        "Edit",
        file_path="shop/search/fuzzy.py",
        old_string="    return sorted(products(), key=lambda each: distance(each.title, text))[:20]",
        new_string="    return sorted(similar(text, limit=50), key=lambda each: distance(each.title, text))[:20]",
    ),
    _got("The file has been updated."),
    _used("Bash", command="python -m pytest -q tests/search", description="Run the search's tests"),
    _got("FAILED tests/search/test_fuzzy.py::test_exact_matches_stand_first\n1 failed, 95 passed in 2.31s", bad=True),
    _said("An exact match has similarity 1, and so has a title that only differs in case. The exact one has to win the tie."),
    _used(
        "Edit",
        file_path="shop/search/query.py",
        old_string="ORDER BY similarity DESC",
        new_string="ORDER BY title = :text DESC, similarity DESC",
    ),
    _got("The file has been updated."),
    _used(
        "Bash",
        command="python -m pytest -q tests/search && python -m tests.bench_search",
        description="Tests, then the benchmark",
    ),
    _got("96 passed in 2.29s\n40,000 products, 500 searches: p50 12 ms, p95 38 ms"),
    _said("All 96 tests are green, and 95 of 100 searches take less than 38 ms. I commit that and read the findings again."),
]
