"""An agent that costs money, for stories: claude-shaped lines, a session's running total, and every way in which a run can end.

What the n-th visit of a role to a task does stands in ``plan.json`` beside this file: ``usd``, its own; ``live``: what it tells
before it goes on; ``end``: ``ok``, ``turns``, ``budget``, ``crash`` or ``hang``; ``measured``: it tells its own cost beside its
session's total. Each line also says what this run has cost so far, which nobody but the story reads: that is its own report. A
session's total goes without a run that was killed, as claude's does. Standard library only: it runs in the sandbox.
"""

import json
import os
import sys
import time
from pathlib import Path

ROLE, TASK, FOLDER = (os.environ[f"ORCH_RUN_{name}"] for name in ("ROLE", "TASK", "ARTIFACT_DIR"))
WRITES = {
    "analyst": {"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"},
    "architect": {"06-adr/ADR-001-how.md": "# How\n"},
    "reviewer": {"07-review.md": "---\nverdict: {verdict}\nfindings: []\n---\nRead.\n"},
    "tester": {"08-test-report.md": "---\nverdict: pass\nfindings: []\n---\nTried.\n"},
}


def main() -> int:
    memory = Path(os.environ["HOME"]) / "spending.json"
    state = json.loads(memory.read_text()) if memory.exists() else {"visits": {}, "totals": {}}
    visit = state["visits"].get(ROLE, 0)
    state["visits"][ROLE] = visit + 1
    memory.write_text(json.dumps(state))
    session = os.environ.get("ORCH_RUN_SESSION") or f"{TASK}-{ROLE}-{visit}"
    before = state["totals"].get(session, 0.0)
    steps = json.loads((Path(__file__).parent / "plan.json").read_text()).get(f"{TASK} {ROLE}", [])
    step = steps[min(visit, len(steps) - 1)] if steps else {}

    def say(kind: str, own: float, **fields: object) -> None:
        print(json.dumps({"type": kind, "session_id": session, "own_usd": own, **fields}), flush=True)

    say("system", 0.0, subtype="init", model=f"claude-{'haiku' if ROLE == 'tester' else 'opus'}-4-1-20250805")
    for own in step.get("live", []):
        usage = {"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": 1_000_000}
        message = {"id": f"m{own}", "usage": usage, "content": [{"type": "text", "text": "on it"}]}
        say("assistant", own, message=message, total_cost_usd=before + own)
    end, usd = step.get("end", "ok"), step.get("usd", 0.01)
    if end == "hang":
        time.sleep(600)
    if end == "crash":
        return 3
    work(step)
    total = state["totals"][session] = round(before + usd, 6)
    memory.write_text(json.dumps(state))
    own_tokens = {
        "inputTokens": 10,
        "outputTokens": 20,
        "cacheReadInputTokens": 1000,
        "cacheCreationInputTokens": 5,
        "costUSD": usd,
    }
    measured = {"model_usage_since_last_result": {"x": own_tokens}} if step.get("measured") else {}
    usage = {"input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 5}
    subtype = {"turns": "error_max_turns", "budget": "error_max_budget_usd"}.get(end, "success")
    shown = dict.fromkeys(usage, 0) if end == "budget" else usage
    say("result", usd, subtype=subtype, is_error=end != "ok", total_cost_usd=total, usage=shown, **measured)
    return int(end != "ok")


def work(step: dict[str, str]) -> None:
    if ROLE == "developer":
        Path("app").mkdir(exist_ok=True)
        Path(f"app/new-{TASK}").write_text(f"{time.time()}\n")
    for name, text in WRITES.get(ROLE, {}).items():
        path = Path(FOLDER) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(verdict=step.get("verdict", "approved")))


if __name__ == "__main__":
    sys.exit(main())
