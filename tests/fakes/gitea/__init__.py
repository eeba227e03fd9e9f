"""A stateful fake of Gitea over HTTP, on real bare git."""

from tests.fakes.gitea.access import Cut, Refused
from tests.fakes.gitea.person import Person
from tests.fakes.gitea.server import BOT, REPO, FakeGitea

__all__ = ["BOT", "REPO", "Cut", "FakeGitea", "Person", "Refused"]
