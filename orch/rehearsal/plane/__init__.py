"""A stateful fake of Plane over HTTP, with its background worker and its hooks."""

from orch.rehearsal.plane.access import Refused
from orch.rehearsal.plane.person import Person
from orch.rehearsal.plane.server import SECRET, WORKSPACE, FakePlane

__all__ = ["SECRET", "WORKSPACE", "FakePlane", "Person", "Refused"]
