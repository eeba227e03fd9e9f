"""Git directories on disk: how ours are laid out, and how an agent's is read as data.

Owns: the making of a minimal repository (HEAD, config, objects, refs) without a process, the reading of refs by hand, and
the removal of trees. Rule: what an agent could have written is opened component by component, following no link and
waiting on no pipe, bounded in size, and believed only as far as it is a full object id.
"""

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orch.core.errors import DomainError
from orch.core.ids import Sha, parse_sha

_REF_BAD = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|^[-./]|[./]$|^@$")
_PACKED_LIMIT = 16_000_000
_SMALL = 4_096


BY_PRODUCTS = ("__pycache__/", "*.py[co]", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", "node_modules/", ".DS_Store")
"""What running a project's tools leaves behind and nobody means to commit, also where its own .gitignore forgets it."""


def mirror_path(data_dir: Path, project: str) -> Path:
    """Return where a project's mirror lies."""
    return data_dir / "projects" / project / "mirror.git"


def check_ref_part(name: str) -> str:
    """Return *name* when git would take it as a branch name; raise DomainError otherwise."""
    if not name or len(name) > 240 or _REF_BAD.search(name):
        raise DomainError(f"not a usable branch name: {name[:80]!r}")
    return name


def lay_out(git_dir: Path, *, bare: bool, head: str, alternates: Sequence[Path] = (), sha256: bool = False) -> None:
    """Make an empty repository whose HEAD file says *head* (``ref: refs/heads/x`` or an object id)."""
    for part in ("objects/info", "objects/pack", "refs/heads", "info"):
        (git_dir / part).mkdir(parents=True, exist_ok=True)
    config = f"[core]\n\trepositoryformatversion = {int(sha256)}\n\tfilemode = true\n\tbare = {str(bare).lower()}\n"
    config += "" if bare else "\tlogallrefupdates = true\n"
    config += "\thooksPath = /dev/null\n" if bare else ""
    config += "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
    config += "[extensions]\n\tobjectformat = sha256\n" if sha256 else ""
    (git_dir / "config").write_text(config, encoding="utf-8")
    if alternates:
        write_alternates(git_dir / "objects", alternates)
    if not bare:
        (git_dir / "info" / "exclude").write_text("\n".join(BY_PRODUCTS) + "\n", encoding="ascii")
    (git_dir / "HEAD").write_text(head + "\n", encoding="ascii")


def write_alternates(objects: Path, alternates: Sequence[Path]) -> None:
    """Make *objects* borrow from *alternates* and from nothing else."""
    info = objects / "info"
    if info.is_symlink() or (info.exists() and not info.is_dir()):
        info.unlink()
    info.mkdir(exist_ok=True)
    target = info / "alternates"
    with contextlib.suppress(FileNotFoundError):
        remove_tree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
    target.write_bytes(b"".join(os.fsencode(path) + b"\n" for path in alternates))


def write_ref(git_dir: Path, name: str, sha: Sha) -> None:
    """Write a loose ref into a repository that is the daemon's own."""
    path = git_dir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(parse_sha(sha) + "\n", encoding="ascii")


def read_inside(root: Path, relative: str, limit: int = _SMALL) -> bytes | None:
    """Return the start of a regular file under *root*, or None; no link is followed at any step below *root*."""
    opened: list[int] = []
    try:
        here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        opened.append(here)
        *folders, name = relative.split("/")
        for folder in folders:
            here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            opened.append(here)
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
        opened.append(file)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        data = bytearray()
        while len(data) < limit and (chunk := os.read(file, min(limit - len(data), 1 << 20))):
            data += chunk
        return bytes(data)
    except (OSError, ValueError):
        return None
    finally:
        for number in opened:
            os.close(number)


def read_ref(git_dir: Path, name: str) -> Sha | None:
    """Return what the ref *name* holds, loose or packed; None when it is absent or is not an object id."""
    loose = read_inside(git_dir, name)
    if loose is not None:
        return _sha(loose.strip())
    return list_packed(git_dir).get(name)


def read_head(git_dir: Path) -> tuple[str | None, Sha | None]:
    """Return the ref that HEAD names (None when detached) and the commit it stands on (None when unreadable)."""
    text = (read_inside(git_dir, "HEAD") or b"").decode("utf-8", "replace").strip()
    if not text.startswith("ref:"):
        return None, _sha(text.encode("utf-8", "replace"))
    name = text.removeprefix("ref:").strip()
    if not name.startswith("refs/") or _REF_BAD.search(name):
        return None, None
    return name, read_ref(git_dir, name)


def list_tips(git_dir: Path, limit: int = 32) -> list[Sha]:
    """Return up to *limit* different commits that branches and the stash of an agent's repository stand on."""
    tips = [sha for name, sha in list_packed(git_dir).items() if name.startswith("refs/heads/") or name == "refs/stash"]
    names = ["refs/stash"]
    for folder, folders, files in os.walk(git_dir / "refs" / "heads"):
        folders[:] = folders[:limit]
        names += [os.path.relpath(os.path.join(folder, file), git_dir) for file in files[:limit]]
        if len(names) > 4 * limit:
            break
    tips += [sha for name in names if (sha := _sha((read_inside(git_dir, name) or b"").strip()))]
    return list(dict.fromkeys(tips))[:limit]


def list_packed(git_dir: Path) -> dict[str, Sha]:
    """Return the refs that git has packed; a loose one of the same name is newer."""
    found: dict[str, Sha] = {}
    for line in (read_inside(git_dir, "packed-refs", _PACKED_LIMIT) or b"").splitlines():
        sha_text, _, name = line.partition(b" ")
        sha = _sha(sha_text)
        if sha is not None and name:
            found[name.decode("utf-8", "replace")] = sha
    return found


def _sha(data: bytes) -> Sha | None:
    try:
        return parse_sha(data.decode("ascii"))
    except ValueError:
        return None


def seal_objects(git_dir: Path, alternates: Sequence[Path]) -> bool:
    """Make an agent's object store safe to borrow from; False when there is none.

    Links inside it could lend this task the objects of another repository, and so could its ``alternates``.
    """
    objects = git_dir / "objects"
    if git_dir.is_symlink() or not git_dir.is_dir() or objects.is_symlink() or not objects.is_dir():
        return False
    for folder, folders, files in os.walk(objects):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                os.unlink(path)
    write_alternates(objects, alternates)
    return True


def nested_repositories(worktree: Path) -> list[str]:
    """Return the folders below *worktree* that hold a ``.git`` of their own, relative, deepest paths left out."""
    found: list[str] = []
    for folder, folders, files in os.walk(os.fsencode(worktree)):
        top = folder == os.fsencode(worktree)
        if not top and (b".git" in folders or b".git" in files):
            found.append(os.fsdecode(os.path.relpath(folder, os.fsencode(worktree))))
            folders.clear()
        elif b".git" in folders:
            folders.remove(b".git")
    return found


def remove_tree(path: Path) -> None:
    """Remove whatever stands at *path*, read-only folders included; links are removed, never followed."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        path.unlink()
    elif path.exists():
        shutil.rmtree(path, onerror=_open_up_and_retry)


def _open_up_and_retry(function: Callable[..., Any], path: str, problem: Any) -> None:
    if isinstance(problem[1], FileNotFoundError):
        return
    with contextlib.suppress(OSError):
        os.chmod(os.path.dirname(path), 0o700)
        if not os.path.islink(path):
            os.chmod(path, 0o700)
    if function in (os.open, os.scandir, os.lstat):
        shutil.rmtree(path)
    else:
        function(path)


def make_private_folder(path: Path) -> None:
    """Make *path* a real folder of mode 0700, replacing a link or file in its place."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        path.unlink()
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
