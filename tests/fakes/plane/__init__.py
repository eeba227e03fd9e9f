"""A stateful fake of Plane over HTTP, with its background worker and its hooks."""

from tests.fakes.plane.access import Refused
from tests.fakes.plane.person import Person
from tests.fakes.plane.server import SECRET, WORKSPACE, FakePlane

__all__ = ["SECRET", "WORKSPACE", "FakePlane", "Person", "Refused"]
