"""The shim: a small program between the daemon and one process tree, which sees to it that the tree ends.

Owns: the subreaper, the sweep, and the reading of ``/proc`` (which ``process`` shares). Owns no policy: no time-outs, no output.
Rule: it ends last. Whatever the tree does (setsid, double fork, ignoring TERM, outliving its leader), every descendant is
a child of this process in the end, so "no child is left to wait for" means "nothing is left".

Run as ``python -I -S shim.py REPORT_FD GRACE_S PARENT_PID SHARED PROGRAM [ARGUMENT …]``, standard library only. It starts the
program in a session of its own with the environment it was given, then waits. At the program's end, or at SIGTERM (from
the daemon, or from the kernel because the daemon died): TERM to every descendant, the grace, KILL in rounds until there
is none. It reports one JSON line on REPORT_FD: ``pid, start, code, survivors``, after a line ``error`` (an errno) when
the program could not be started. With SHARED 1 the program gets REPORT_FD too: bubblewrap, which says there that what it
wraps was started, and keeps it from what runs inside.

Start-up time is part of every run, hence ``posix``, ``_signal`` and ``_ctypes`` in place of their wrappers, which make it half as
long again, and a start from the compiled file where there is one.
"""

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import signal
else:
    import _signal as signal
    import posix as os

LABEL = "ORCH_RUN_ID"
KILL_S = 3.0
"""How long KILL is repeated before what is left counts as a survivor (another user's process, or one stuck in the kernel)."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

Entry = tuple[int, int, str, str]
"""A process: parent, start time in clock ticks since boot, name, state (``Z`` for one that only waits to be reaped)."""


def read_entry(pid: int) -> Entry | None:
    """Read one process from ``/proc``; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            raw = file.read()
    except OSError:
        return None
    opening, closing = raw.find(b"("), raw.rfind(b")")  # the name itself may hold brackets and spaces
    fields = raw[closing + 2 :].split()
    return int(fields[1]), int(fields[19]), raw[opening + 1 : closing].decode("utf-8", "replace"), fields[0].decode()


def read_table() -> dict[int, Entry]:
    """Read every process. Zombies count: one whose leading thread has ended looks like a zombie while others run on."""
    entries = ((int(name), read_entry(int(name))) for name in os.listdir("/proc") if name.isdigit())
    return {pid: entry for pid, entry in entries if entry is not None}


def descendants(table: dict[int, Entry], *roots: int) -> set[int]:
    """Return the processes of *table* below *roots*."""
    children: dict[int, list[int]] = {}
    for pid, entry in table.items():
        children.setdefault(entry[0], []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return found


def read_label(pid: int) -> str | None:
    """Return the label in a process's environment, None when it has none or may not be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            raw = file.read()
    except OSError:
        return None
    for item in raw.split(b"\0"):
        if item.startswith(b"ORCH_RUN_ID="):
            return item[len(LABEL) + 1 :].decode("utf-8", "replace")
    return None


def send(pid: int, start: int, number: int) -> None:
    """Signal exactly the process that had *start* as its start time, never a later one with the same pid."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        entry = read_entry(pid)
        if entry is not None and entry[1] == start:
            signal.pidfd_send_signal(handle, number)
    except OSError:
        pass  # gone meanwhile, or another user's: the latter shows as a survivor
    finally:
        os.close(handle)


def prctl(option: int, value: int) -> None:
    """Call prctl(2); raise OSError when the kernel refuses."""
    try:
        from _ctypes import call_function, dlopen, dlsym

        failed = call_function(dlsym(dlopen("", 2), "prctl"), (option, value, 0, 0, 0))
    except (ImportError, AttributeError, TypeError):  # a Python whose private module has changed
        from ctypes import CDLL

        failed = CDLL(None).prctl(option, value, 0, 0, 0)
    if failed:
        raise OSError(f"prctl({option}) was refused")


def become_subreaper() -> None:
    """Make every orphan below us our own child."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


class Tree:
    """The program and everything that comes of it."""

    def __init__(self, pid: int, label: str) -> None:
        self.pid, self.label, self.me = pid, label, os.getpid()
        self.start = (read_entry(pid) or (0, 0, "", ""))[1]
        self.code: int | None = None
        self.spared: set[int] = set()

    def reap(self) -> bool:
        """Collect every child that has ended; say whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.pid and self.code is None:
                self.code = os.waitstatus_to_exitcode(status)

    def members(self, *, labelled: bool) -> dict[int, Entry]:
        """Return what lives of the tree: our descendants and, where asked or where there are none, whoever carries the label."""
        table = read_table()
        found = descendants(table, self.me)
        if self.label and (labelled or not found):
            found |= {pid for pid in table if pid != self.me and read_label(pid) == self.label}
        self.spared = self.spare(table)
        return {pid: table[pid] for pid in found - self.spared}

    def spare(self, table: dict[int, Entry]) -> set[int]:  # noqa: ARG002 (a deploy's tree looks at it)
        """Return who is left alone although it comes of the tree: nobody, of an agent's or a test's."""
        return set()

    def strike_children(self) -> None:
        """KILL our own children in quick succession: what forks and exits without end is elsewhere when a table has been read."""
        for _ in range(100):
            try:
                with open(f"/proc/self/task/{self.me}/children", "rb") as file:
                    children = file.read().split()
            except OSError:  # a kernel without this file
                return
            for child in children:
                if int(child) not in self.spared:
                    os.kill(int(child), signal.SIGKILL)  # nobody but us reaps it: the pid is still its own
            if not self.reap() or self.spared:
                return

    def sweep(self, grace_s: float) -> list[int]:
        """End the tree: TERM, the grace, KILL until nothing is left; return the pids that would not go."""
        if grace_s > 0:
            for pid, entry in self.members(labelled=True).items():
                if entry[2] != "bwrap":  # its end would end the whole namespace at once: no grace for what is inside
                    send(pid, entry[1], signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while self.reap() and (left := deadline - time.monotonic()) > 0:
                signal.sigtimedwait({signal.SIGCHLD}, left)
        deadline = time.monotonic() + KILL_S
        while True:
            members = self.members(labelled=False)
            for pid, entry in members.items():
                send(pid, entry[1], signal.SIGKILL)
            self.strike_children()
            if (self.spared or not self.reap()) and not members:
                return []
            if time.monotonic() > deadline:
                return sorted(members)
            signal.sigtimedwait({signal.SIGCHLD}, 0.01)


def read_environment() -> dict[bytes, bytes]:
    """Return the environment exactly as it was given: Python has added LC_CTYPE to its own when no locale was set."""
    with open("/proc/self/environ", "rb") as file:
        items = (item.partition(b"=") for item in file.read().split(b"\0"))
    return {name: value for name, equals, value in items if equals}


def start(command: list[str], report: int) -> int:
    """Start the program in its own session with the signals of a fresh process; return its pid, 0 where it cannot be started."""
    ignored = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python, and exec would pass that on
    try:
        return os.posix_spawnp(command[0], command, read_environment(), setsid=True, setsigmask=(), setsigdef=ignored)
    except OSError as error:
        os.write(report, b'{"error":%d}\n' % (error.errno or 0))
        return 0


def main(arguments: list[str]) -> int:
    report, grace_s, parent, command = int(arguments[0]), float(arguments[1]), int(arguments[2]), arguments[4:]
    os.set_inheritable(report, arguments[3] == "1")
    os.closerange(3, report)
    os.closerange(report + 1, 1 << 20)
    ours = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, ours | {signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
    become_subreaper()
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the line above could tell us
        return 1
    label = read_environment().get(LABEL.encode(), b"").decode("utf-8", "replace")
    pid = start(command, report)
    if not pid:
        return 1
    tree = Tree(pid, label)
    nowhere = os.open("/dev/null", os.O_RDWR)
    for inherited in (0, 1):  # the program's alone: its readers must see the end of them
        os.dup2(nowhere, inherited)
    while tree.code is None and signal.sigwaitinfo(ours).si_signo != signal.SIGTERM:
        tree.reap()
    survivors = tree.sweep(grace_s)
    code = -signal.SIGKILL if tree.code is None else tree.code
    os.write(report, b'{"pid":%d,"start":%d,"code":%d,"survivors":%s}\n' % (tree.pid, tree.start, code, str(survivors).encode()))
    return 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # nothing is buffered, and tidying the interpreter up would take longer than the sweep
