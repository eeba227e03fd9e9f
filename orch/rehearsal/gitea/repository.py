"""A repository of the fake Gitea: real and bare, driven by plumbing, with Gitea's two server-side hooks.

Owns: ``BareRepository``. Rule: nothing of the machine's own git configuration is read; a person's commit needs no working tree.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from orch.core.ids import Sha, parse_sha

NOTHING = "0" * 40
GIT_ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
}
PRE_RECEIVE = """#!/bin/sh
# FAKE_RULES: a line per protected branch: name|may push|signed only|file pattern
refuse() { echo "Gitea: $1" >&2; exit 1; }
[ -z "$FAKE_SICK" ] || refuse "Internal Server Connection Error"
[ "$FAKE_WRITE" = 1 ] || refuse "User permission denied for writing."
zero=0000000000000000000000000000000000000000
while read -r old new ref; do
    branch=${ref#refs/heads/}
    printf '%s\\n' "$FAKE_RULES" > "$FAKE_REPORT.rules"
    while IFS='|' read -r name push signed pattern; do
        [ "$ref" = "refs/heads/$name" ] || continue
        [ "$new" != $zero ] || refuse "branch $branch is protected from deletion"
        if [ "$old" != $zero ] && ! git merge-base --is-ancestor "$old" "$new"; then
            refuse "branch $branch is protected from force push"
        fi
        [ "$signed" = 0 ] || refuse "branch $branch is protected from unverified commit $new"
        if [ -n "$pattern" ]; then
            for file in $(git diff --name-only "$old" "$new"); do
                case "$file" in $pattern) refuse "branch $branch is protected from changing file $file" ;; esac
            done
        fi
        [ "$push" = 1 ] || refuse "Not allowed to push to protected branch $branch"
    done < "$FAKE_REPORT.rules"
done
"""
POST_RECEIVE = """#!/bin/sh
cat > "$FAKE_REPORT"
"""


class BareRepository:
    """One bare repository at *path*, with one commit on its default branch."""

    def __init__(self, path: Path, default_branch: str) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", f"--initial-branch={default_branch}")
        self.git("config", "http.receivepack", "true")
        for name, text in (("pre-receive", PRE_RECEIVE), ("post-receive", POST_RECEIVE)):
            hook = path / "hooks" / name
            hook.parent.mkdir(exist_ok=True)
            hook.write_text(text)
            hook.chmod(0o755)
        self.set_ref(f"refs/heads/{default_branch}", self.commit({"README.md": "# Sample\n"}, None, "first", "owner"))

    def git(self, *args: str, env: Mapping[str, str] | None = None, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.path, env=GIT_ENV | dict(env or {}), input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise AssertionError(f"git {' '.join(args)}: {done.stderr}")
        return done.stdout.strip()

    def says(self, *args: str) -> bool:
        """Say whether a git command that answers by its exit code says yes."""
        done = subprocess.run(["git", *args], cwd=self.path, env=GIT_ENV, capture_output=True, check=False)
        return done.returncode == 0

    def tip(self, ref: str) -> Sha | None:
        """Return the commit of a full ref."""
        found = self.git("for-each-ref", "--format=%(objectname) %(refname)", ref).splitlines()
        shas = [line.split(" ")[0] for line in found if line.split(" ")[1] == ref]
        return parse_sha(shas[0]) if shas else None

    def branch(self, name: str) -> Sha | None:
        return self.tip(f"refs/heads/{name}")

    def has_commit(self, sha: str) -> bool:
        return self.says("cat-file", "-e", f"{sha}^{{commit}}")

    def is_ancestor(self, ancestor: str, tip: str) -> bool:
        return self.says("merge-base", "--is-ancestor", ancestor, tip)

    def set_ref(self, ref: str, sha: str) -> None:
        self.git("update-ref", ref, sha)

    def delete_ref(self, ref: str) -> None:
        self.git("update-ref", "-d", ref)

    def commit(self, files: Mapping[str, str | None], parent: str | None, message: str, author: str) -> Sha:
        """Make a commit of *parent*'s tree with *files* changed (None removes one) and return it; no ref moves."""
        env = {"GIT_INDEX_FILE": str(self.path / "fake-index")}
        self.git("read-tree", *([parent] if parent else ["--empty"]), env=env)
        for name, text in files.items():
            if text is None:
                self.git("update-index", "--force-remove", name, env=env)
                continue
            blob = self.git("hash-object", "-w", "--stdin", stdin=text)
            self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", env=env)
        return self.commit_tree(self.git("write-tree", env=env), [parent] if parent else [], message, author)

    def commit_tree(self, tree: str, parents: list[str], message: str, author: str) -> Sha:
        env = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in signature(author).items()}
        options = [part for parent in parents for part in ("-p", parent)]
        return parse_sha(self.git("commit-tree", tree, *options, "-m", message, env=env))

    def merge_tree(self, ours: str, theirs: str) -> str | None:
        """Return the tree of a merge, or None where it conflicts."""
        command = ["git", "merge-tree", "--write-tree", ours, theirs]
        done = subprocess.run(command, cwd=self.path, env=GIT_ENV, capture_output=True, text=True, check=False)
        return done.stdout.split()[0] if done.returncode == 0 else None


def signature(author: str) -> dict[str, str]:
    return {"NAME": author, "EMAIL": f"{author}@example.org", "DATE": "1700000000 +0000"}
