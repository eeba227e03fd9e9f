"""One try of a deploy, in a process that is nobody's child: it outlives the daemon, and leaves its result in a folder.

Owns: the claim, the time limit, the result file. Does not own: who is killed how (``shim``), what a result means.
Rule: claimed first, executed then, the result last and whole. The claim appears together with its content (a link, which fails
where one is there), so a try is executed at most once and an empty claim cannot be seen. At the program's own end nothing is
killed: what a deploy leaves running may be what it is for. Only at the time limit, or at SIGTERM, the tree is ended, by the
shim's sweep; the daemon itself and what it runs are spared then, should the deploy have started it.

Run as ``python -I -S detached.py FOLDER GRACE_S TIME_S LOCK PROGRAM [ARGUMENT …]`` in the directory and with the environment that
the program is to have; standard library only. Every module is loaded before the program starts: the deploy may replace these
files. Files in FOLDER: ``claim`` (JSON: pid, start, boot), ``output.log``, ``result`` (JSON: code, timed_out, seconds, ended_at,
survivors).
"""

import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING or __name__ != "__main__":
    import signal

    from orch.adapters import shim
else:
    import _signal as signal

    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import shim

CLAIM, RESULT, LOG = "claim", "result", "output.log"
NOT_STARTED = 127


def boot_id() -> str:
    """Return what tells this run of the machine from every other: pids and start times begin anew with it."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def write_whole(folder: str, name: str, content: dict[str, object], *, new: bool) -> bool:
    """Put a file into *folder* with its content, or not at all; *new*: False, and nothing done, where it is there already."""
    draft = os.path.join(folder, f"{name}.{os.getpid()}")
    with open(draft, "w", encoding="ascii") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    target, made = os.path.join(folder, name), True
    if new:
        try:
            os.link(draft, target)
        except FileExistsError:
            made = False
        os.unlink(draft)
    else:
        os.replace(draft, target)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(handle)
    os.close(handle)
    return made


def claim_for(folder: str, pid: int, start: int) -> bool:
    """Claim the try for a process (pid 0: for nobody); False where it is claimed already."""
    return write_whole(folder, CLAIM, {"pid": pid, "start": start, "boot": boot_id()}, new=True)


class DeployTree(shim.Tree):
    """A deploy's tree. The daemon that holds *lock* may be part of it, where a deploy replaced the daemon."""

    def __init__(self, pid: int, label: str, lock: str) -> None:
        super().__init__(pid, label)
        self.lock = lock

    def spare(self, table: dict[int, shim.Entry]) -> set[int]:
        """Leave alone the daemon, whatever it runs, and those between it and us, which would take it with them."""
        try:
            with open(self.lock, encoding="ascii") as file:
                daemon = int(file.read().strip() or 0)
        except (OSError, ValueError):
            return set()
        if daemon not in table or daemon not in shim.descendants(table, self.me):
            return set()
        spared = {daemon} | shim.descendants(table, daemon)
        above = table[daemon][0]
        while above in table and above != self.me:
            spared.add(above)
            above = table[above][0]
        return spared


def leave_parent() -> None:
    """Go on in a session of our own as a child of init; whoever started us sees its child end at once."""
    for last in (False, True):
        if os.fork():
            os._exit(0)
        if not last:
            os.setsid()


def open_log(folder: str) -> None:
    """Output goes to the log itself, no pipe: who runs on after us can go on writing."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    log = os.open(os.path.join(folder, LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nowhere), (1, log), (2, log)):
        os.dup2(source, target)
    os.closerange(3, 1 << 16)


def start(command: list[str]) -> tuple[int, int]:
    """Start the program; return its pid and 0, or the errno that kept it from starting."""
    reading, writing = os.pipe()
    pid = shim.start(command, writing)
    os.close(writing)
    told = os.read(reading, 100)
    os.close(reading)
    return pid, int(json.loads(told)["error"]) if told else 0


def watch(tree: DeployTree, time_s: float, ours: set[int]) -> str:
    """Wait for the program's end, its time limit or SIGTERM; return which."""
    deadline = time.monotonic() + time_s
    while True:
        tree.reap()
        if tree.code is not None:
            return "ended"
        left = deadline - time.monotonic()
        if left <= 0:
            return "timed out"
        seen = signal.sigtimedwait(ours, left)
        if seen is not None and seen.si_signo == signal.SIGTERM:
            return "terminated"


def main(arguments: list[str]) -> int:
    folder, grace_s, time_s, lock, command = arguments[0], float(arguments[1]), float(arguments[2]), arguments[3], arguments[4:]
    leave_parent()
    open_log(folder)
    ours: set[int] = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, ours | {signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
    me = shim.read_entry(os.getpid())
    if me is None or not claim_for(folder, os.getpid(), me[1]):
        return 0
    shim.become_subreaper()
    began = time.monotonic()
    pid, error = start(command)
    tree = DeployTree(pid, os.environ.get(shim.LABEL, ""), lock)
    if error:
        os.write(2, f"cannot start {command[0]!r}: {os.strerror(error)}\n".encode("utf-8", "replace"))
        how: str = "ended"
        tree.code = NOT_STARTED
    else:
        how = watch(tree, time_s, ours)
    survivors: list[list[object]] = []
    if how != "ended":
        survivors = [[left, entry[1], entry[2]] for left in tree.sweep(grace_s) if (entry := shim.read_entry(left)) is not None]
    result: dict[str, object] = {
        "code": tree.code if how == "ended" else None,
        "timed_out": how == "timed out",
        "seconds": round(time.monotonic() - began, 3),
        "ended_at": time.time(),
        "survivors": survivors,
    }
    write_whole(folder, RESULT, result, new=False)
    return 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
