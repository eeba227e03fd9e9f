"""The suites for a real Plane and a real Gitea, run against the fakes: that they can pass at all, and leave nothing behind.

It says nothing of a real server: only ``tests/live`` itself does, where somebody names one.
"""

import os
import sys
from pathlib import Path

import anyio
import pytest

from orch.rehearsal.gitea import FakeGitea
from orch.rehearsal.plane import FakePlane
from orch.rehearsal.plane.wall_time import WallTime

ROOT = Path(__file__).parents[2]
WITHIN_S = 240


async def run_live(suite: str, **environ: str) -> str:
    """Run one suite in a process of its own and return what it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ORCH_", "PYTEST_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", f"tests/live/{suite}"]
    with anyio.fail_after(WITHIN_S):
        done = await anyio.run_process(command, cwd=ROOT, env={**inherited, **environ}, check=False)
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, said[-6000:]
    return said


@pytest.mark.timeout(WITHIN_S + 20)
async def test_the_suite_for_a_real_plane_passes_on_the_fake_and_deletes_what_it_made() -> None:
    async with FakePlane(rate=1_000_000, time=WallTime()) as plane:
        said = await run_live(
            "test_plane.py",
            ORCH_LIVE_PLANE_URL=plane.url,
            ORCH_LIVE_PLANE_TOKEN=plane.key,
            ORCH_LIVE_PLANE_WORKSPACE=plane.workspace,
            ORCH_LIVE_PLANE_PROJECT=plane.project.id,
            ORCH_LIVE_PLANE_CALLS_PER_MIN="60000",
        )
        assert "skipped" not in said, said
        assert plane.project.visible() == []


@pytest.mark.timeout(WITHIN_S + 20)
async def test_the_suite_for_a_real_gitea_passes_on_the_fake_and_deletes_what_it_made(tmp_path: Path) -> None:
    async with FakeGitea(tmp_path / "gitea") as gitea:
        gitea.state.real_time = True
        tip = gitea.person.push("main", {"README.md": "# Sample\n"}, "the sample")
        await run_live(
            "test_gitea.py",
            ORCH_LIVE_GITEA_URL=gitea.url,
            ORCH_LIVE_GITEA_TOKEN=gitea.token,
            ORCH_LIVE_GITEA_REPO="team/shop",
        )
        left = gitea.repo.git.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split()
        assert (left, gitea.person.tip("main")) == (["main"], tip)
        assert [pull.state for pull in gitea.repo.pulls.values() if pull.state == "open"] == []
