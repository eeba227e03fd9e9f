"""The page: one line a fault, with what tried it and what came out.

Owns: ``docs/reliability.md`` as a function of results and proofs. Rule: what was skipped or never run is said; nothing is
called held that nothing tried.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, final

from tests.reliability.catalogue import Row, rows

PAGE = "docs/reliability.md"
HEAD = """# Reliability
Written by `make reliability` from a run of the tests and from what the slow runs (`make crash`, `make sim`, `make chaos`,
`make mutants`, `make soak`) left behind. What each kind of test proves, and what it cannot, stands in [testing](testing.md).

| fault or guarantee | what is promised | tried by | result |
| --- | --- | --- | --- |
"""
SLOW = """
## Slow runs
| run | when | outcome | figures |
| --- | --- | --- | --- |
"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One test. *module* is dotted (``tests.core.test_ids``, a class behind it or not)."""

    module: str
    name: str
    outcome: str


def belongs(result: Result, row: Row) -> bool:
    """Say whether *result* is of one of the row's tests."""
    module = f"{result.module}."
    places = (f"{'.'.join(PurePosixPath(path).with_suffix('').parts)}." for path in row.tests)
    return any(module.startswith(place) for place in places) and row.named in result.name


def render(results: Sequence[Result], proofs: Mapping[str, Mapping[str, Any]]) -> tuple[str, int]:
    """Return the page, and how many tests failed."""
    failed = sum(result.outcome == "failed" for result in results)
    lines = [_line(row, results, proofs) for row in rows()]
    return HEAD + "\n".join(lines) + "\n" + SLOW + "\n".join(_slow(proofs)) + "\n", failed


def _line(row: Row, results: Sequence[Result], proofs: Mapping[str, Mapping[str, Any]]) -> str:
    counted = Counter(result.outcome for result in results if belongs(result, row))
    tried = [f"{row.named}…" if row.named else ", ".join(f"`{path.removeprefix('tests/')}`" for path in row.tests)]
    tried += [f"`make {name}`" for name in row.proofs]
    return f"| {row.fault} | {row.promise} | {', '.join(each for each in tried if each)} | {_outcome(row, counted, proofs)} |"


def _outcome(row: Row, counted: Counter[str], proofs: Mapping[str, Mapping[str, Any]]) -> str:
    told = [f"{count} {outcome}" for outcome in ("passed", "failed", "skipped") if (count := counted[outcome])]
    if row.tests and not told:
        told = ["**no test**"]
    for name in row.proofs:
        told.append(f"{name}: {'held' if proofs[name]['good'] else '**did not hold**'}" if name in proofs else f"{name}: not run")
    return ", ".join(told)


def _slow(proofs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for proof in proofs.values():
        figures = ", ".join(f"{key} {value}" for key, value in proof["figures"].items())
        yield f"| `{proof['command']}` | {proof['at']} | {'held' if proof['good'] else '**did not hold**'} | {figures} |"
    if not proofs:
        yield "| none was run | | | |"
