"""The whole line with the real Claude Code program, offline: a scripted stand-in answers for the model.

Skipped where the program or the stand-in is not on the machine (``ORCH_TEST_CLAUDE`` names the program, ``ORCH_TEST_MODEL_STUB``
the stand-in). What it shows: analyst to tester write their artefacts, the change lands, a repository's own settings are not
obeyed, and tokens and cost are exactly what the program reported.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from orch.adapters.http import connect_api
from orch.cli.options import ServeOptions
from orch.core.model import RoleSettings
from orch.daemon import make_plan, run_daemon
from tests.gitrepo import make_repo
from tests.scenario.story import Person

STUB = Path(os.environ.get("ORCH_TEST_MODEL_STUB", Path(__file__).parents[3] / "shared" / "tools" / "model_stub.py"))
CLAUDE = os.environ.get("ORCH_TEST_CLAUDE") or shutil.which("claude")
FOLDER = "{cwd}/docs/work-items/CALC-1"

pytestmark = [
    pytest.mark.skipif(CLAUDE is None, reason="no Claude Code program (ORCH_TEST_CLAUDE)"),
    pytest.mark.skipif(not STUB.exists(), reason="no stand-in for the model (ORCH_TEST_MODEL_STUB)"),
]


def write(name: str, content: str) -> dict[str, Any]:
    return {"tool": "Write", "input": {"file_path": f"{FOLDER}/{name}", "content": content}}


def shell(command: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command, "description": "work"}}


def usage(base: int) -> dict[str, int]:
    return {
        "input_tokens": base,
        "cache_creation_input_tokens": base // 4,
        "cache_read_input_tokens": base * 7,
        "output_tokens": base // 3,
    }


CODE = "printf '\\n\\ndef sub(a, b):\\n    return a - b\\n' >> calc.py && printf 'assert calc.sub(3, 1) == 2\\n' >> test_calc.py"
RULES = [
    ("analyst", [[write("01-brd.md", "# Sub\n\nWanted.\n"), write("02-acceptance.md", "- [ ] sub(3, 1) == 2\n")]]),
    ("architect", [[write("06-adr/ADR-001-sub.md", "# ADR-001\n\nA function.\n")]]),
    ("developer", [[shell(f"{CODE} && git add -A && git commit -qm Subtract")]]),
    ("reviewer", [[write("07-review.md", "---\nverdict: approved\nfindings: []\n---\nGood.\n")]]),
    ("tester", [[shell("python3 test_calc.py")], [write("08-test-report.md", "---\nverdict: pass\nfindings: []\n---\nRan.\n")]]),
]
CHECK = ("python3", "test_calc.py")
HOSTILE = {"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "touch HACKED"}]}]}}


@pytest.fixture
def model(tmp_path: Path) -> Iterator[str]:
    """Run the stand-in; give its address."""
    rules = [
        {"match": f"role: {role}", "turns": turns, "text": "done", "usage": usage(400 + 100 * number)}
        for number, (role, turns) in enumerate(RULES)
    ]
    script = tmp_path / "model.json"
    script.write_text(json.dumps({"rules": rules}), encoding="utf-8")
    argv = [sys.executable, str(STUB), "--port", "0", "--script", str(script)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
        server.terminate()


def reported(data: Path) -> dict[str, float]:
    """Add up what the program itself said in its result lines."""
    total = {"cost": 0.0, "in": 0.0, "out": 0.0}
    for log in sorted((data / "runs").glob("*/output.log")):
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.startswith("{") and (event := json.loads(line)).get("type") == "result":
                used = event["usage"]
                total["cost"] += event["total_cost_usd"]
                total["in"] += sum(used[f"{kind}input_tokens"] for kind in ("", "cache_read_", "cache_creation_"))
                total["out"] += used["output_tokens"]
    return total


def hacked(folder: Path) -> list[Path]:
    """Return what the repository's own hook would have left behind."""
    return list(folder.rglob("HACKED"))


async def test_the_real_program_takes_a_card_to_main(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", model)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    files = {
        "calc.py": "def add(a, b):\n    return a + b\n",
        "test_calc.py": "import calc\nassert calc.add(1, 2) == 3\n",
        ".claude/settings.json": json.dumps(HOSTILE),
    }
    repo = make_repo(tmp_path / "repo", files=files)
    data = tmp_path / "data"
    options = ServeOptions(
        repo=repo.path,
        test_command=("python3", "test_calc.py"),
        agent="claude",
        name="calc",
        prefix="CALC",
        port=0,
        data_dir=data,
    )
    plan = make_plan(options, {})
    roles = {role: RoleSettings(agent="claude", command=(str(CLAUDE),)) for role in plan.projects[0].roles}
    plan = replace(plan, projects=(replace(plan.projects[0], roles=roles),))
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        await group.start(partial(run_daemon, plan, stop=stop))
        person = Person(connect_api(data))
        try:
            issue = await person.start("Subtract two numbers")
            await person.approve(issue)
            task = await person.until(issue, lambda it: it["stage"] == "done" or bool(it["parked"]), within_s=90)
        finally:
            stop.set()
    assert task["stage"] == "done", task["parked"]
    main = repo.tree("main")
    assert "def sub" in main["calc.py"]
    assert {"01-brd.md", "02-acceptance.md", "06-adr/ADR-001-sub.md", "07-review.md", "08-test-report.md"} <= {
        name.removeprefix("docs/work-items/CALC-1/") for name in main
    }
    assert hacked(tmp_path) == []
    said = reported(data)
    assert (task["cost_usd"], task["tokens_in"], task["tokens_out"]) == (pytest.approx(said["cost"]), said["in"], said["out"])
    assert said["cost"] > 0
