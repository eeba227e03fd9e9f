"""Processes that could not be ended, known again by id and start time."""

import subprocess
from dataclasses import replace

from orch.adapters import shim
from orch.adapters.process import ProcessTree
from orch.core.model import Survivor


def test_who_could_not_be_ended_is_known_by_id_and_start_time_and_forgotten_when_gone() -> None:
    """A live stand-in: what matters is that neither a dead process nor a later one of the same id is taken for it."""
    processes, child = ProcessTree(), subprocess.Popen(["sleep", "60"])
    try:
        entry = shim.read_entry(child.pid)
        assert entry is not None
        known = Survivor(pid=child.pid, started=entry[1], name="sleep")
        processes.survivors["7"] = (known,)
        assert processes.living(["7"]) == (known,)
        assert processes.living(["7", "8"], [known]) == (known,)
        assert processes.living(["8"], [replace(known, started=entry[1] + 1)]) == ()
    finally:
        child.kill()
        child.wait()
    assert processes.living(["7"], [known]) == ()
