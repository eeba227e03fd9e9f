"""A stateful fake of Gitea over HTTP, on real bare git."""

from orch.rehearsal.gitea.access import Cut, Refused
from orch.rehearsal.gitea.person import Person
from orch.rehearsal.gitea.server import BOT, REPO, FakeGitea

__all__ = ["BOT", "REPO", "Cut", "FakeGitea", "Person", "Refused"]
