"""The demonstration's sample: a small repository with tests, three issues, and what the scripted agents will do.

Owns: the sample's content. Rule: nothing here is asked by the line; the agents' changes are real files in real commits, and the
sample's own tests decide whether they may land.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

FILES = {
    "README.md": "# Greeter\n\nA library that greets.\n",
    "greeter/__init__.py": (
        '"""Greets."""\n\n\ndef hello() -> str:\n    """Return a greeting for everybody."""\n    return "Hello!"\n'
    ),
    "tests/__init__.py": "",
    "tests/test_hello.py": (
        "import unittest\n\nfrom greeter import hello\n\n\nclass HelloTest(unittest.TestCase):\n"
        '    def test_greets_everybody(self) -> None:\n        self.assertEqual(hello(), "Hello!")\n'
    ),
}

GREET = (
    "from greeter import hello\n\n\ndef greet(name: str) -> str:\n"
    '    """Greet one person."""\n    return f"{hello()[:-1]}, {name}!"\n'
)
GREET_TEST = (
    "import unittest\n\nfrom greeter.person import greet\n\n\nclass GreetTest(unittest.TestCase):\n"
    '    def test_names_the_person(self) -> None:\n        self.assertEqual(greet("Ada"), "Hello, Ada!")\n'
)
SHOUT_DRAFT = (
    "from greeter.person import greet\n\n\ndef shout(name: str) -> str:\n"
    '    """Greet one person loudly."""\n    return greet(name).upper()\n'
)
SHOUT = (
    "from greeter.person import greet\n\n\ndef shout(name: str) -> str:\n"
    '    """Greet one person loudly; without a name there is nobody to shout at."""\n'
    '    if not name.strip():\n        raise ValueError("a name is needed")\n    return greet(name).upper()\n'
)
SHOUT_TEST_DRAFT = (
    "import unittest\n\nfrom greeter.loud import shout\n\n\nclass ShoutTest(unittest.TestCase):\n"
    '    def test_is_loud(self) -> None:\n        self.assertEqual(shout("Ada"), "HELLO, ADA!")\n'
)
SHOUT_TEST = SHOUT_TEST_DRAFT + (
    '\n    def test_refuses_nobody(self) -> None:\n        with self.assertRaises(ValueError):\n            shout(" ")\n'
)
COUNT = (
    "class Counter:\n"
    '    """Counts greetings per person."""\n\n    def __init__(self) -> None:\n        self._seen: dict[str, int] = {}\n\n'
    "    def count(self, name: str) -> int:\n        self._seen[name] = self._seen.get(name, 0) + 1\n"
    "        return self._seen[name]\n"
)
COUNT_TEST = (
    "import unittest\n\nfrom greeter.counter import Counter\n\n\nclass CounterTest(unittest.TestCase):\n"
    "    def test_counts_each_person_apart(self) -> None:\n        counter = Counter()\n"
    '        counter.count("Ada")\n        self.assertEqual((counter.count("Ada"), counter.count("Alan")), (2, 1))\n'
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SampleIssue:
    """One issue of the demonstration. *rejects* are the reasons with which the person rejects its first plans."""

    title: str
    body: str
    after: int | None = None
    rejects: tuple[str, ...] = ()


ISSUES: tuple[SampleIssue, ...] = (
    SampleIssue(title="Greet a person by name", body="Callers want `greet(name)` to say hello to one person by name."),
    SampleIssue(
        title="Shout the greeting",
        body="Some people are far away: `shout(name)` greets them loudly. It builds on greeting by name.",
        after=0,
    ),
    SampleIssue(
        title="Count the greetings",
        body="We want to know how often each person was greeted.",
        rejects=("Count per person, not in total, and say so in the acceptance criteria.",),
    ),
)


def _plan(title: str, *criteria: str) -> dict[str, Any]:
    listed = "".join(f"- [ ] {line}\n" for line in criteria)
    return {
        "artefacts": {"01-brd.md": f"# {title}\n\nWanted: {title.lower()}.\n", "02-acceptance.md": f"# Acceptance\n\n{listed}"}
    }


def _adr(title: str) -> dict[str, Any]:
    return {"artefacts": {"06-adr/ADR-001-own-module.md": f"# ADR-001: {title} in a module of its own\n\nStatus: accepted\n"}}


def _code(message: str, files: Mapping[str, str]) -> dict[str, Any]:
    return {"files": dict(files), "message": message}


def _verdict(name: str, verdict: str, *findings: Mapping[str, str]) -> dict[str, Any]:
    listed = "".join(
        f"  - title: {json.dumps(f['title'])}\n    severity: major\n"
        f"    path: {f['path']}\n    detail: {json.dumps(f['detail'])}\n"
        for f in findings
    )
    front = f"verdict: {verdict}\nfindings:{' []' if not findings else ''}\n{listed}"
    return {"artefacts": {name: f"---\n{front}---\nRead whole.\n"}}


def make_script(keys: Sequence[str]) -> dict[str, Any]:
    """Return what each role does for each of the three issues, whose keys are *keys* in the order of ISSUES."""
    finding = {
        "title": "shout accepts an empty name",
        "path": "greeter/loud.py",
        "detail": "An empty name gives 'HELLO, !'. Refuse it, and test that.",
    }
    approved, passed = _verdict("07-review.md", "approved"), _verdict("08-test-report.md", "pass")
    roles = (
        {
            "analyst": [_plan("Greet a person by name", "greet('Ada') is 'Hello, Ada!'")],
            "architect": [_adr("Greeting by name")],
            "developer": [_code("Greet a person by name", {"greeter/person.py": GREET, "tests/test_person.py": GREET_TEST})],
            "reviewer": [approved],
            "tester": [passed],
        },
        {
            "analyst": [_plan("Shout the greeting", "shout('Ada') is 'HELLO, ADA!'")],
            "architect": [_adr("Shouting")],
            "developer": [
                _code("Shout the greeting", {"greeter/loud.py": SHOUT_DRAFT, "tests/test_loud.py": SHOUT_TEST_DRAFT}),
                _code("Refuse to shout at nobody", {"greeter/loud.py": SHOUT, "tests/test_loud.py": SHOUT_TEST}),
            ],
            "reviewer": [_verdict("07-review.md", "changes_requested", finding), approved],
            "tester": [passed],
        },
        {
            "analyst": [
                _plan("Count the greetings", "greetings are counted"),
                _plan("Count the greetings", "each person is counted apart"),
            ],
            "architect": [_adr("Counting")],
            "developer": [
                _code("Count greetings per person", {"greeter/counter.py": COUNT, "tests/test_counter.py": COUNT_TEST})
            ],
            "reviewer": [approved],
            "tester": [passed],
        },
    )
    return {"issues": dict(zip(keys, roles, strict=True))}


def git(*args: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run git on the sample and return what it prints; *env* is added to the environment."""
    identity = ["-c", "user.name=Sample", "-c", "user.email=sample@localhost", "-c", "commit.gpgsign=false"]
    whole = {**os.environ, **env} if env else None
    done = subprocess.run(["git", *identity, *args], cwd=cwd, check=True, capture_output=True, text=True, env=whole)
    return done.stdout


def make_repository(path: Path) -> None:
    """Make the sample's repository with one commit on ``main``."""
    for name, content in FILES.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
    git("init", "--quiet", "--initial-branch=main", cwd=path)
    git("add", "--all", cwd=path)
    git("commit", "--quiet", "--message", "A library that greets", cwd=path)
