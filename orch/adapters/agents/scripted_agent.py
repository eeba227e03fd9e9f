"""The scripted agent's program: does what a script says, or something sensible per role. Costs nothing and says so.

Owns: one visit, which makes real files and a real commit in the directory it is started in, and prints claude-shaped JSON lines.
Rule: the same script and the same visit give the same files. Standard library only, for it is started as
``python -I -S scripted_agent.py [SCRIPT]`` and its start-up is part of every demonstration and test.

A script is a JSON file: ``{"issues": {"<work item id or *>": {"<role>": [step, …]}}}``. The n-th visit of a role to a task takes
the n-th step, the last one repeats; the count is kept in the private home. ``<ID>`` in a path or content is the work item id.
A step (everything is optional)::

    {"files": {"path": "content"}, "append": {"path": "content"}, "delete": ["path"], "artefacts": {"07-review.md": "…"},
     "run": ["program", "argument"], "message": "commit message", "commit": true, "exit": 0, "sleep_s": 0, "say": ["line"],
     "usage": {"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
     "cost_usd": 0.0, "result": {"subtype": "error_max_turns", "is_error": true}}

``result`` changes the result line (null: none is printed), which is how a script plays a turn limit, a denial or a crash.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

SHAPES: dict[str, type | tuple[type, ...]] = {
    "files": dict,
    "append": dict,
    "delete": list,
    "artefacts": dict,
    "run": list,
    "message": str,
    "commit": bool,
    "exit": int,
    "sleep_s": (int, float),
    "say": list,
    "usage": dict,
    "cost_usd": (int, float),
    "result": (dict, type(None)),
}
ROLES = ("analyst", "architect", "developer", "reviewer", "tester", "deployer")
STATE = ".orch-scripted.json"

Step = dict[str, object]
Script = dict[str, dict[str, list[Step]]]


class ScriptError(ValueError):
    """The script is malformed; the text says where."""


def load_script(path: str) -> Script:
    """Read and check a script; raise ScriptError with one line that says what is wrong and where."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ScriptError(f"cannot read the script {path}: {error.strerror}") from error
    except ValueError as error:
        raise ScriptError(f"the script {path} is not JSON: {error}") from error
    issues = data.get("issues") if isinstance(data, dict) else None
    if not isinstance(issues, dict):
        raise ScriptError(f'the script {path} needs an object "issues"')
    for issue, roles in issues.items():
        if not isinstance(roles, dict):
            raise ScriptError(f"{path}: issues.{issue} must be an object of roles")
        for role, steps in roles.items():
            where = f"{path}: issues.{issue}.{role}"
            if role not in ROLES:
                raise ScriptError(f"{where}: no such role; roles are {', '.join(ROLES)}")
            if not isinstance(steps, list) or not steps:
                raise ScriptError(f"{where} must be a list of at least one step")
            for number, step in enumerate(steps):
                check_step(step, f"{where}[{number}]")
    checked: Script = issues
    return checked


def check_step(step: object, where: str) -> None:
    if not isinstance(step, dict):
        raise ScriptError(f"{where} must be an object")
    for key, value in step.items():
        if key not in SHAPES:
            raise ScriptError(f"{where}.{key}: no such key; keys are {', '.join(SHAPES)}")
        if not isinstance(value, SHAPES[key]) or (isinstance(value, bool) and SHAPES[key] is not bool):
            raise ScriptError(f"{where}.{key} has the wrong type")
        texts = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
        if key not in {"usage", "result"} and not all(isinstance(text, str) for text in texts):
            raise ScriptError(f"{where}.{key} may hold strings only")


class Visit:
    """One visit of one role to one task: what the environment says, and the memory in the private home."""

    def __init__(self) -> None:
        self.role, self.task = os.environ["ORCH_RUN_ROLE"], os.environ["ORCH_RUN_TASK"]
        self.stage, self.folder = os.environ.get("ORCH_RUN_STAGE", ""), os.environ.get("ORCH_RUN_ARTIFACT_DIR", "docs")
        self.memory = Path(os.environ["HOME"]) / STATE
        try:
            state = json.loads(self.memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            state = {}
        self.visits: dict[str, int] = state.get("visits", {})
        self.totals: dict[str, float] = state.get("totals", {})
        self.number: int = self.visits.get(self.role, 0) + 1
        label = os.environ.get("ORCH_RUN_ID", "0")
        self.session = os.environ.get("ORCH_RUN_SESSION") or f"scripted-{self.task}-{''.join(c for c in label if c.isalnum())}"
        self.usage: dict[str, int] = {}

    def remember(self, cost_usd: float) -> float:
        """Count the visit, add the cost to the session's total, keep both; return the total."""
        self.visits[self.role] = self.number
        self.totals[self.session] = self.totals.get(self.session, 0.0) + cost_usd
        self.memory.write_text(json.dumps({"visits": self.visits, "totals": self.totals}), encoding="utf-8")
        return self.totals[self.session]

    def step(self, script: Script) -> Step:
        for roles in (script.get(self.task), script.get("*")):
            steps: list[Step] = roles.get(self.role, []) if roles else []
            if steps:
                return steps[min(self.number, len(steps)) - 1]
        return self.default_step()

    def default_step(self) -> Step:
        """Return what a well-behaved agent of the role would leave behind."""
        title = self.title()
        if self.role == "analyst":
            brd = f"# {title}\n\nWhat is wanted: {title}.\n"
            return {"artefacts": {"01-brd.md": brd, "02-acceptance.md": f"# Acceptance\n\n- [ ] {title}\n"}}
        if self.role == "architect":
            adr = f"# ADR-001: {title}\n\nStatus: accepted\n\nDecision: the smallest change that does it.\n"
            return {"artefacts": {"06-adr/ADR-001-smallest-change.md": adr}}
        if self.role == "developer":
            return {"append": {f"CHANGES-{self.task}.md": f"- {title} (visit {self.number})\n"}}
        if self.role == "reviewer":
            return {"artefacts": {"07-review.md": "---\nverdict: approved\nfindings: []\n---\nRead by the scripted reviewer.\n"}}
        if self.role == "tester":
            return self.test()
        return {"artefacts": {"09-staging.md": "---\nverdict: ok\nfindings: []\n---\nLooked at by the scripted deployer.\n"}}

    def test(self) -> Step:
        """Run the test command where ORCH_RUN_TEST_COMMAND (a JSON list) names one; the verdict is its answer."""
        command = json.loads(os.environ.get("ORCH_RUN_TEST_COMMAND", "[]"))
        code, said = run(command) if command else (0, "No test command was named.")
        findings = "[]" if code == 0 else "\n  - title: the test command is red\n    severity: major"
        front = f"---\nverdict: {'pass' if code == 0 else 'fail'}\nfindings: {findings}\n---\n"
        return {"artefacts": {"08-test-report.md": f"{front}\n```\n{said[-4000:]}\n```\n"}}

    def title(self) -> str:
        """Return the first line with words in it of the request, else of the prompt."""
        try:
            text = (Path(self.folder) / "00-request.md").read_text(encoding="utf-8")
        except OSError:
            text = sys.stdin.buffer.read(1_000_000).decode("utf-8", "replace")
        lines = (line.strip("#* \t") for line in text.splitlines())
        return next((line[:200] for line in lines if any(c.isalpha() for c in line)), self.task)

    def say(self, kind: str, **fields: object) -> None:
        sys.stdout.write(json.dumps({"type": kind, "session_id": self.session, **fields}) + "\n")
        sys.stdout.flush()

    def speak(self, *content: dict[str, object], by: str = "assistant") -> None:
        message = {"id": f"msg_{self.number}", "role": by, "content": list(content), "usage": self.usage}
        self.say(by, message=message, parent_tool_use_id=None)


def run(command: list[str]) -> tuple[int, str]:
    """Run a program in the worktree; return its exit code and output."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}"
    return done.returncode, done.stdout.decode("utf-8", "replace")


def place(path: str) -> Path:
    """Return *path* inside the worktree; raise ScriptError when it leads out of it."""
    if not Path(path).resolve().is_relative_to(Path.cwd()):
        raise ScriptError(f"the path {path!r} leads out of the worktree")
    return Path(path)


def write_files(visit: Visit, step: Step) -> list[str]:
    """Make the step's changes; return the paths that were touched."""
    files = {path: ("w", text) for path, text in strings(step.get("files")).items()}
    files.update({path: ("a", text) for path, text in strings(step.get("append")).items()})
    files.update({f"{visit.folder}/{name}": ("w", text) for name, text in strings(step.get("artefacts")).items()})
    for path, (mode, text) in files.items():
        target = place(path.replace("<ID>", visit.task))
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open(mode, encoding="utf-8") as file:
            file.write(text.replace("<ID>", visit.task))
    gone = step.get("delete")
    deleted = [str(path) for path in gone] if isinstance(gone, list) else []
    for path in deleted:
        place(path.replace("<ID>", visit.task)).unlink(missing_ok=True)
    return [*files, *deleted]


def strings(value: object) -> dict[str, str]:
    return value if isinstance(value, dict) else {}


def commit(message: str) -> None:
    """Commit whatever has changed, with no hook of the repository; nothing changed is no error."""
    git = ["git", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false"]
    for arguments in (["add", "-A"], ["commit", "--quiet", "-m", message]):
        if arguments[0] == "commit" and run([*git, "diff", "--cached", "--quiet"])[0] == 0:
            return
        code, said = run([*git, *arguments])
        if code:
            raise ScriptError(f"git {arguments[0]} failed: {said.strip()[-500:]}")


def perform(visit: Visit, step: Step) -> int:
    """Do a step and print it as events; return the exit code."""
    usage, cost = step.get("usage"), step.get("cost_usd", 0.0)
    visit.usage = {name: value for name, value in usage.items() if isinstance(value, int)} if isinstance(usage, dict) else {}
    cost_usd = float(cost) if isinstance(cost, int | float) else 0.0
    visit.say("system", subtype="init", cwd=str(Path.cwd()), model="scripted", claude_code_version="scripted", tools=[])
    total = visit.remember(cost_usd)
    said = step.get("say")
    for line in said if isinstance(said, list) else [f"scripted {visit.role}, visit {visit.number}"]:
        visit.speak({"type": "text", "text": line})
    pause = step.get("sleep_s", 0)
    time.sleep(pause if isinstance(pause, int | float) else 0)
    name = f"toolu_{visit.number}"
    visit.speak({"type": "tool_use", "id": name, "name": "Write", "input": {}})
    touched = write_files(visit, step)
    code, output = 0, ", ".join(touched)
    command = step.get("run")
    if isinstance(command, list) and command:
        code, output = run([str(part) for part in command])
    visit.speak({"type": "tool_result", "tool_use_id": name, "content": output[-4000:]}, by="user")
    if step.get("commit", True):
        commit(str(step.get("message") or f"{visit.task}: {visit.stage or visit.role}, visit {visit.number}"))
    wanted = step.get("exit", code and 1)
    code = wanted if isinstance(wanted, int) else 1
    finish(visit, step, code, cost_usd, total)
    return code


def finish(visit: Visit, step: Step, code: int, cost_usd: float, total: float) -> None:
    changes = step.get("result", {})
    if changes is None:
        return
    tokens = visit.usage
    model = {
        "inputTokens": tokens.get("input_tokens", 0),
        "outputTokens": tokens.get("output_tokens", 0),
        "cacheReadInputTokens": tokens.get("cache_read_input_tokens", 0),
        "cacheCreationInputTokens": tokens.get("cache_creation_input_tokens", 0),
        "costUSD": cost_usd,
    }
    result = {
        "subtype": "success",
        "is_error": code != 0,
        "num_turns": 1,
        "result": f"scripted {visit.role}: done" if code == 0 else f"scripted {visit.role}: the script says exit {code}",
        "total_cost_usd": total,
        "usage": tokens,
        "model_usage_since_last_result": {"scripted": model},
        "permission_denials": [],
        "terminal_reason": "completed",
    }
    visit.say("result", **{**result, **(changes if isinstance(changes, dict) else {})})


def main(arguments: list[str]) -> int:
    try:
        script = load_script(arguments[0]) if arguments else {}
        visit = Visit()
        return perform(visit, visit.step(script))
    except KeyError as error:
        sys.stderr.write(f"scripted agent: {error.args[0]} is not set: start it through the scripted adapter\n")
    except (ScriptError, OSError) as error:
        sys.stderr.write(f"scripted agent: {error}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
