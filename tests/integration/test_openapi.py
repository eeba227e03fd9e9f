"""``/openapi.json`` is true: every route is in it, each status that it names is provoked here, and no other problem comes."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orch.core.errors import DomainError, StoreError
from orch.core.messages import Answer, Verb
from orch.ports import HookDoor
from orch.web.bodies import BODY_MAX
from orch.web.openapi import STATES
from orch.web.routes import Route
from tests.integration.test_webhooks import EVENT, Door, signed
from tests.integration.web_world import TOKEN, World, running

SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "DecisionBody": {"shown": "a" * 40, "reason": "Because."},
    "IssueBody": {"title": "Add a basket", "body": "It is wanted.", "project": "shop", "status": "backlog"},
    "MoveBody": {"status": "to_analyse"},
    "ArchiveBody": {"archived": True},
    "CommentBody": {"text": "Soon."},
    "DependencyBody": {"issue": "SHOP-1", "on": "SHOP-2"},
    "BudgetBody": {"raise_usd": 5.0},
    "BackupBody": {"dir": "/var/backups/orch"},
    "SendBackBody": {"stage": "development", "reason": "Mend it.", "findings": [{"title": "No test"}]},
    "AdoptBody": {"project": "shop"},
    "FreezeBody": {"project": "shop", "reason": "Release."},
    "PauseBody": {"project": "shop"},
    "NoBody": {},
}
VERBS = {Verb.UNKNOWN: 404, Verb.REFUSED: 409, Verb.UNAVAILABLE: 503}
Seen = dict[tuple[str, str], set[int]]


class Desk:
    """Takes backups as a test wants them taken."""

    def __init__(self) -> None:
        self.word = "done"

    async def begin(self, target: Path) -> None:
        if self.word == "refused":
            raise DomainError("the folder is not empty")

    async def wait(self, seconds: float) -> None:
        """None is under way."""

    def state(self) -> Mapping[str, object]:
        return {"state": self.word, "dir": "/x", "detail": "no room", "manifest": None}


@dataclass
class Tour:
    """Calls every address in one way after the other, and keeps what each answered."""

    world: World
    seen: Seen

    @property
    def routes(self) -> list[Route]:
        return [route for route in self.world.app.routes if not route.socket]

    async def call(self, route: Route, *, known: bool = True, query: str = "", token: bool = True, **given: Any) -> int:
        path = route.path.replace("{n}", "1" if known else "99999")
        path = re.sub(r"\{(\w+)\}", "SHOP-1" if known else "made-up", path)
        if route.body is not None and "content" not in given:
            given["json"] = {**SAMPLES[route.body.__name__], "by": "ann"}
        async with self.world.client(token=token) as client:
            reply = await client.request(route.method, path + query, **given)
        self.seen.setdefault((route.method, route.path), set()).add(reply.status_code)
        if reply.status_code >= 400 and route.path not in STATES:
            assert reply.headers["content-type"] == "application/problem+json", route.path
            assert {"status", "title", "detail"} <= reply.json().keys(), route.path
        return reply.status_code

    async def reading(self) -> None:
        for route in (each for each in self.routes if not each.acting and not each.hook):
            for known in (True, False):
                await self.call(route, known=known)
                await self.call(route, known=known, headers={"Host": "evil.example"})
            for name in route.query:
                await self.call(route, query=f"?{name}=x")
            if route.path.endswith("/{file}"):
                await self.call(route, query="%00")  # no name of a file
        self.world.control.missing = {"store": "full"}
        await self.call(next(route for route in self.routes if route.path == "/readyz"))

    async def acting(self, cookie: str) -> None:
        for route in (each for each in self.routes if each.acting):
            assert await self.call(route) == 200, (route.path, "a documented body is taken")
            await self.call(route, token=False)
            await self.call(route, token=False, headers={"Cookie": cookie})
            await self.call(route, headers={"Host": "evil.example"})
            for body in (b"{", b'{"nonsense": 1}', b"x" * (BODY_MAX + 1)):
                await self.call(route, content=body)
            for verb in VERBS:
                self.world.control.answers = [Answer(verb=verb, text="So it is.")]
                await self.call(route)
                self.world.control.answers = []


@asynccontextmanager
async def tour(folder: Path, seen: Seen, **changes: Any) -> AsyncIterator[Tour]:
    folder.mkdir()  # noqa: ASYNC240
    async with running(folder, **changes) as world:
        yield Tour(world, seen)


async def login(world: World) -> str:
    async with world.client() as client:
        url = (await client.post("/login/links")).json()["url"]
        return str((await client.get(url)).headers["set-cookie"]).split(";")[0]


async def backups(it: Tour, desk: Desk) -> None:
    route = next(route for route in it.routes if (route.method, route.path) == ("POST", "/backup"))
    for word in ("running", "failed", "refused"):
        desk.word = word
        await it.call(route)


async def hooks(it: Tour, door: Door) -> None:
    for route in (each for each in it.routes if each.hook):
        for body, signature in ((EVENT, signed(EVENT)), (EVENT, "wrong"), (b"x" * (BODY_MAX + 1), "")):
            await it.call(route, content=body, headers={"X-Signature": signature}, token=False)
        it.world.store.transact = _broken  # type: ignore[method-assign, assignment]
        await it.call(route, content=EVENT, headers={"X-Signature": signed(EVENT)}, token=False)


def _event(route: Route) -> dict[str, Any]:
    return {"content": EVENT} if route.hook else {}


async def _broken(work: object) -> object:
    raise StoreError("full")


async def observed(folder: Path) -> tuple[Seen, Mapping[str, Any]]:
    """Return every status that each address answered, and the document."""
    seen: Seen = {}
    desk, door = Desk(), Door()
    doors: dict[str, HookDoor] = {"plane": door, "gitea": door}  # type: ignore[dict-item]
    async with tour(folder / "one", seen, backup=desk, doors=doors) as it:
        async with it.world.client() as client:
            document = (await client.get("/openapi.json")).json()
        await it.acting(await login(it.world))
        await it.reading()
        await backups(it, desk)
        await hooks(it, door)
    async with tour(folder / "two", seen) as it:
        for route in (each for each in it.routes if each.hook or each.path == "/backup"):
            await it.call(route, **_event(route))
    async with tour(folder / "three", seen, require_token_for_reading=True) as it:
        for route in it.routes:
            await it.call(route, token=False, **_event(route))
    return seen, document


async def test_every_status_that_is_documented_occurs_and_no_other_does(tmp_path: Path) -> None:
    seen, document = await observed(tmp_path)
    told = {
        (method.upper(), path): {int(code) for code in row["responses"] if code not in ("default", "200", "101")}
        for path, ways in document["paths"].items()
        for method, row in ways.items()
        if "101" not in row["responses"]
    }
    assert told.keys() == seen.keys()
    assert {key: codes - seen[key] for key, codes in told.items() if codes - seen[key]} == {}, "documented, and does not occur"
    wrong = {key: codes - told[key] - {200} for key, codes in seen.items()}
    assert {key: codes for key, codes in wrong.items() if codes} == {}, "occurs, and is not documented"


async def test_the_bodies_are_what_is_documented(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.client() as client:
        document = (await client.get("/openapi.json")).json()
        schemas = document["components"]["schemas"]
        for route in (each for each in world.app.routes if each.body is not None):
            assert route.body is not None
            schema, sample = schemas[route.body.__name__], SAMPLES[route.body.__name__]
            row = document["paths"][route.path][route.method.lower()]
            assert row["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(f"/{route.body.__name__}")
            assert set(schema.get("required", [])) <= sample.keys() <= schema["properties"].keys()
            assert schema["additionalProperties"] is False
            path = re.sub(r"\{\w+\}", "SHOP-1", route.path)
            for name in schema.get("required", []):
                without = {key: value for key, value in sample.items() if key != name}
                assert (await client.request(route.method, path, json=without)).status_code == 422, (path, name)


async def test_every_reference_in_the_document_leads_somewhere(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.client() as client:
        text = (await client.get("/openapi.json")).text
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert {ref.rpartition("/")[2] for ref in re.findall(r'"\$ref":\s*"([^"]+)"', text)} <= schemas.keys()
    assert TOKEN not in text
