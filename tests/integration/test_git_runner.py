"""The git runner: closed to the machine's configuration, bounded, silent about secrets, and gone when it is cancelled."""

import contextlib
import os
import sys
from pathlib import Path

import anyio
import psutil
import pytest

from orch.adapters import orphans
from orch.adapters.git.runner import Git, Options, classify
from orch.core.errors import ConfigError, ExternalError, PermanentError, StoreError, TransientError
from tests.gitrepo import make_repo

SECRET = "t0ken-that-must-stay-home"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def script(path: Path, body: str) -> str:
    """Write an executable that stands in for git."""
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o755)
    return str(path)


async def test_the_machines_configuration_is_not_read(tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text(
        "[alias]\n\trev-parse = !false\n[user]\n\tname = Mallory\n[core]\n\tfsmonitor = /bin/false\n"
    )
    repo = make_repo(tmp_path / "repo")
    hostile = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_DIR": "/nowhere",
        "GIT_INDEX_FILE": "/nowhere",
        "EDITOR": "false",
    }
    git = Git(environ=hostile)
    assert (await git.run(repo.path / ".git", "rev-parse", "HEAD")).word() == repo.tip()
    seen = (await git.run(repo.path / ".git", "config", "--list", "--show-scope")).out.decode()
    assert "Mallory" not in seen
    assert "command\tcore.hookspath=/dev/null" in seen.lower()


async def test_G10_a_git_that_outlives_its_daemon_is_found_by_its_label_and_ended(tmp_path: Path) -> None:
    """A push in mid-air must not land after the next daemon has asked what became of it."""
    wait = "import pathlib, time\npathlib.Path(__file__ + '.began').touch()\ntime.sleep(60)\n"
    path = tmp_path / "slow"
    git = Git(executable=script(path, wait), label="namespace-1/git")
    async with anyio.create_task_group() as group:
        group.start_soon(_ended_by_signal, git, tmp_path)
        with anyio.fail_after(20):
            while not await anyio.Path(f"{path}.began").exists():  # noqa: ASYNC110 (another process: nobody tells us)
                await anyio.sleep(0.01)
            killed = await orphans.kill(lambda label: label.startswith("namespace-1/"), 5.0)
    assert (len(killed.ended), killed.left) == (1, {})


async def _ended_by_signal(git: Git, folder: Path) -> None:
    with pytest.raises(TransientError, match="was ended by signal 15"):
        await git.run(folder, "push")


async def test_an_answer_may_be_an_exit_code(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    ran = await Git().run(
        repo.path / ".git", "rev-parse", "--verify", "--quiet", "refs/heads/none", options=Options(ok=frozenset({1}))
    )
    assert ran.code == 1


async def test_input_and_output_may_be_large(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    content = os.urandom(3_000_000)
    sha = (await Git().run(repo.path / ".git", "hash-object", "-w", "--stdin", options=Options(stdin=content))).word()
    assert (await Git().run(repo.path / ".git", "cat-file", "blob", sha)).out == content


async def test_a_folder_that_is_no_repository_is_the_stores_failure(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a git repository"):
        await Git().run(tmp_path, "rev-parse", "HEAD")
    with pytest.raises(StoreError):
        await Git().run(tmp_path / "absent", "rev-parse", "HEAD")


async def test_a_helper_program_is_no_transport(tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    with pytest.raises(PermanentError, match="not allowed"):
        await Git().run(None, "ls-remote", "--", f"ext::touch {canary}")
    assert not canary.exists()


async def test_an_option_for_a_url_is_no_option(tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    with pytest.raises(ExternalError):
        await Git().run(None, "ls-remote", "--", f"--upload-pack=touch {canary}")
    assert not canary.exists()


async def test_G13_credentials_do_not_reach_the_error_or_the_arguments(tmp_path: Path) -> None:
    seen = tmp_path / "argv"
    program = script(
        tmp_path / "git",
        f"import os, sys\nopen({str(seen)!r}, 'w').write(' '.join(sys.argv))\n"
        "sys.stderr.write('fatal: refused ' + os.environ['GIT_CONFIG_VALUE_0'] + ' for http://bot:pw-of-bot@host/x')\nsys.exit(128)\n",
    )
    env = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: token {SECRET}",
    }
    with pytest.raises(PermanentError) as caught:
        await Git(executable=program).run(None, "ls-remote", "--", "http://host/x", options=Options(env=env))
    assert SECRET not in str(caught.value)
    assert "pw-of-bot" not in str(caught.value)
    assert SECRET not in seen.read_text()


async def test_a_git_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "child"
    program = script(
        tmp_path / "git",
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\ntime.sleep(600)\n",
    )
    with pytest.raises(TransientError, match="no answer within"):
        await Git(executable=program, timeout_s=1.0).run(None, "fetch")
    assert _gone(int(pid.read_text()))


async def test_cancellation_ends_git_and_passes_through(tmp_path: Path) -> None:
    fifo = tmp_path / "ready"
    os.mkfifo(fifo)
    program = script(
        tmp_path / "git",
        f"import os, time\nfile = open({str(fifo)!r}, 'w')\nfile.write(str(os.getpid()))\nfile.close()\ntime.sleep(600)\n",
    )
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(Git(executable=program).run, None, "fetch")
            pid = int(await anyio.to_thread.run_sync(fifo.read_text))
            scope.cancel()
    assert scope.cancelled_caught
    assert _gone(pid)


def _gone(pid: int) -> bool:
    """Say whether a process that was killed is gone; its last parent may take a moment to reap it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        _, alive = psutil.wait_procs([process], timeout=5)
        return not alive or process.status() == psutil.STATUS_ZOMBIE
    return True


def test_a_machine_without_git_is_told_what_to_do() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nonexistent")
        with pytest.raises(ConfigError, match="install git"):
            Git()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("fatal: unable to access 'http://h/x/': Failed to connect to h port 3000", TransientError),
        ("fatal: unable to access 'http://h/': The requested URL returned error: 502", TransientError),
        ("error: cannot lock ref 'refs/heads/x': Unable to create '/m/refs/heads/x.lock': File exists.", TransientError),
        ("ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.", TransientError),
        ("fatal: Authentication failed for 'http://h/x/'", PermanentError),
        ("fatal: could not read Username for 'http://h': terminal prompts disabled", PermanentError),
        ("fatal: unable to access 'http://h/': The requested URL returned error: 403", PermanentError),
        ("fatal: unable to access 'http://h/': The requested URL returned error: 301", PermanentError),
        ("fatal: unable to access 'http://h/': The requested URL returned error: 429", TransientError),
        ("error: RPC failed; HTTP 413 curl 22\nfatal: the remote end hung up unexpectedly", PermanentError),
        ("error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502", TransientError),
        ("remote: Push to create is not enabled for users.\nfatal: unable to access 'http://h/x.git/'", PermanentError),
        ("remote: Repository not found\nfatal: repository 'http://h/x.git/' not found", PermanentError),
        ("fatal: write error: No space left on device", StoreError),
        ("error: object file .git/objects/ab/cd is empty", StoreError),
        ("fatal: ambiguous argument 'x'", PermanentError),
    ],
)
def test_gits_complaints_are_told_apart(said: str, kind: type[Exception]) -> None:
    assert type(classify("fetch", said)) is kind
