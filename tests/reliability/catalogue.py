"""Fault by fault: what is promised, which tests try it, which slow run tries it harder.

Owns: the rows of the page, in its order. Rule: a row names tests that exist and can fail; where nothing tries a promise the row
says so instead of naming something near it.
"""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """*tests* are paths of tests or folders; *named* keeps those whose name holds that word. *proofs* are names of slow runs."""

    fault: str
    promise: str
    tests: tuple[str, ...]
    named: str = ""
    proofs: tuple[str, ...] = ()


ACTORS, CORE, INTEGRATION, SCENARIO, CONTRACT = (
    "tests/actors",
    "tests/core",
    "tests/integration",
    "tests/scenario",
    "tests/contract",
)
CRASH = f"{SCENARIO}/crash"
EVERYWHERE = (ACTORS, CORE, INTEGRATION, CONTRACT, SCENARIO)

GUARANTEES = (
    ("G1", "accepted is kept"),
    ("G2", "one pipeline per issue"),
    ("G3", "main is never broken by us"),
    ("G4", "we force only our own"),
    ("G5", "STOP stops"),
    ("G6", "STOP tells the truth"),
    ("G7", "no work is destroyed"),
    ("G8", "status is a sign, not a lever"),
    ("G9", "a lost webhook only delays"),
    ("G10", "kill -9 anywhere is safe"),
    ("G11", "faults stay where they are"),
    ("G12", "no blind repeats"),
    ("G13", "secrets stay home"),
    ("G14", "a switch that is off changes nothing else"),
    ("G15", "done means done"),
    ("G16", "money is bounded"),
)

FAULTS = (
    Row(
        fault="kill -9 at any named place, or any moment",
        promise="nothing accepted is lost, each effect once, each landing once, ready again at once",
        tests=(CRASH, f"{SCENARIO}/test_restart.py", f"{ACTORS}/test_restart.py"),
        proofs=("crash", "sim"),
    ),
    Row(
        fault="loss of power",
        promise="what was answered is on the disk",
        tests=(f"{INTEGRATION}/test_store_file.py", f"{CONTRACT}/test_store_transactions.py"),
    ),
    Row(
        fault="webhooks lost, doubled, reordered, late",
        promise="the same final state as without",
        tests=(f"{SCENARIO}/chaos", f"{ACTORS}/test_reconciler.py"),
        proofs=("chaos", "sim"),
    ),
    Row(
        fault="board, forge or chat away, slow, refusing; a hook switched off; a key revoked",
        promise="shown, waited for, caught up; the line goes on",
        tests=(
            f"{SCENARIO}/services",
            f"{SCENARIO}/chaos/test_a_day_away.py",
            f"{ACTORS}/test_outbox.py",
            f"{INTEGRATION}/test_service_client.py",
        ),
        proofs=("sim",),
    ),
    Row(
        fault="STOP at any moment, on any tree of processes",
        promise="no process left, nothing later, the truth about a landing or deploy in progress",
        tests=(
            f"{SCENARIO}/test_stop.py",
            f"{ACTORS}/test_stop.py",
            f"{ACTORS}/test_train_stop.py",
            f"{INTEGRATION}/test_process.py",
        ),
        proofs=("crash", "sim"),
    ),
    Row(
        fault="two daemons, a paused one, a late one",
        promise="late writes are refused by their fence; a second daemon says so and exits",
        tests=(f"{INTEGRATION}/test_store_start.py", f"{CONTRACT}/test_store_repos.py", f"{CONTRACT}/test_store_jobs.py"),
    ),
    Row(
        fault="disk full, read-only, no memory",
        promise="new work refused in time, what runs goes on, resumes by itself",
        tests=(f"{INTEGRATION}/test_disk_full.py", f"{ACTORS}/test_caretaker.py", f"{CORE}/test_room.py"),
    ),
    Row(
        fault="hostile requests: bodies, slow clients, floods",
        promise="a clear refusal, no unhandled error, the healthy client unharmed",
        tests=(
            f"{INTEGRATION}/test_web_hostile.py",
            f"{INTEGRATION}/test_webhooks_siege.py",
            f"{INTEGRATION}/test_web_fuzz.py",
            f"{INTEGRATION}/test_web_sockets_hostile.py",
        ),
    ),
    Row(
        fault="a secret that is printed, echoed, logged or committed",
        promise="no byte of it in logs, database, pages, sockets, comments, prompts or the chat",
        tests=(f"{SCENARIO}/test_secrets.py", f"{INTEGRATION}/test_logs.py"),
    ),
    Row(
        fault="a hostile agent: hooks, filters, links, refs, secrets, processes",
        promise="runs nothing as the daemon, reads no secret, moves no ref but its own",
        tests=(
            f"{INTEGRATION}/test_git_hostile.py",
            f"{INTEGRATION}/test_git_hostile_agent.py",
            f"{INTEGRATION}/test_sandbox.py",
            f"{SCENARIO}/test_sandbox.py",
            f"{INTEGRATION}/test_sandbox_policy.py",
        ),
    ),
    Row(
        fault="an old database, a damaged one, a backup put back",
        promise="migrated; damage is said, never repaired silently; the restored daemon agrees with the forge",
        tests=(f"{INTEGRATION}/test_store_file.py", f"{CRASH}/test_backup.py"),
    ),
    Row(
        fault="main pushed, rewound or merged by somebody else; task branches forced or removed",
        promise="nothing lands untested, nothing of theirs is written over",
        tests=(f"{SCENARIO}/test_train.py", f"{SCENARIO}/test_train_auditor.py", f"{ACTORS}/test_rework.py"),
        proofs=("sim",),
    ),
    Row(
        fault="conflicting, broken, flaky and clashing branches in one queue",
        promise="main stays green; the guilty are told why; the innocent land",
        tests=(f"{CORE}/test_train_simulation.py", f"{CORE}/test_train_protocol.py", f"{ACTORS}/test_train.py"),
    ),
    Row(
        fault="a bug in an actor",
        promise="that actor begins again from the store; the others go on",
        tests=(f"{ACTORS}/test_supervisor.py", f"{ACTORS}/test_actor.py"),
    ),
    Row(
        fault="a configuration that is wrong",
        promise="one clear line at the start; a reload keeps the last good one",
        tests=(f"{INTEGRATION}/test_config.py", f"{INTEGRATION}/test_reload.py"),
    ),
    Row(
        fault="chat, board or forge that is told too often, loses messages, or hangs",
        promise="one message per task, alerts late rather than never, the line never waits",
        tests=(f"{SCENARIO}/telegram", f"{INTEGRATION}/test_telegram.py"),
    ),
    Row(
        fault="months of work",
        promise="memory, descriptors, working copies, refs and logs stay flat",
        tests=(f"{SCENARIO}/soak",),
        proofs=("soak",),
    ),
)


def rows() -> tuple[Row, ...]:
    """Return every row of the page: the guarantees by the names of their tests, then the faults."""
    named = tuple(Row(fault=key, promise=what, tests=EVERYWHERE, named=f"test_{key}_") for key, what in GUARANTEES)
    return named + FAULTS
