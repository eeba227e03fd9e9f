"""R10, G13: one canary per secret, the whole line with everything on it that tempts to a leak, and then the search.

The agents are as hostile as can be and have no sandbox: they find the token, the database and git's credentials, and print,
write and commit them in every form. The services echo what they were sent. None of it gets further.
"""

import io
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx  # noqa: TID251 - this is the other side
import pytest
from pydantic import SecretStr

from orch import logs
from orch.adapters import http
from orch.core.model import RoleSettings
from orch.core.stages import Role
from orch.rehearsal.gitea import Refused as GiteaRefused
from orch.rehearsal.plane import Refused as PlaneRefused
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram.state import TOKEN as TELEGRAM_TOKEN
from tests.scenario.canaries import Hunt, forms_of
from tests.scenario.services.world import GITEA_SECRET, PLANE_SECRET, World, services
from tests.scenario.story import Person

ADMIN = "admin/c4nary+0123456789-of-the-operator"
MODEL = "sk-ant-c4nary-of-the-model-0123456789"
DAEMONS = "c4nary of the daemon's own environment"
PROXY = "c4nary-of-the-proxy-778899"
PATIENCE_S = 90.0
RUNS = 8
"""So many runs are followed live, from the moment when there are such."""

THIEF = """
import base64, os, pathlib, subprocess, sys, time
data, home = pathlib.Path(sys.argv[1]), pathlib.Path(os.environ["HOME"])
visits = home / "visits"
visit = int(visits.read_text()) + 1 if visits.exists() else 1
visits.write_text(str(visit))
loot = [(data / name).read_text().strip() for name in ("token", "gitea/token") if (data / name).exists()]
loot += pathlib.Path(sys.argv[2]).read_text().splitlines()
print(dict(os.environ))
for text in loot:
    raw = text.encode()
    print("found", text, base64.b64encode(raw).decode(), base64.b64encode(b"a:" + raw).decode(), raw.hex(), file=sys.stderr)
    print("found", text, base64.b64encode(b"ab:" + raw).decode(), "https://me:" + text + "@git.example/x.git")
    middle = len(text) // 2
    for part in (text[:middle], text[middle:] + "\\n"):
        sys.stdout.write(part)
        sys.stdout.flush()
        time.sleep(0.05)
leaked = pathlib.Path("leaked.txt")
if visit == 1:
    leaked.write_text("\\n".join(loot))
else:
    leaked.unlink(missing_ok=True)
with open("CHANGES-SHOP-1.md", "a") as file:
    file.write("- it\\n")
subprocess.run(["git", "add", "--all"], check=True)
message = "It\\n\\n" + ("\\n".join(loot) if visit == 1 else "is done")
subprocess.run(["git", "commit", "--quiet", "-F", "-"], input=message, text=True, check=True)
"""


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setattr(logs, "_needles", ())
    monkeypatch.setattr(http, "REFUSED_S", 0.3)
    out = io.StringIO()
    logs.configure("debug", stream=out)
    yield out
    logs.configure("critical")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", MODEL)
    monkeypatch.setenv("SHOP_DATABASE_PASSWORD", DAEMONS)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PROXY}@proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram(limits=False) as made:
        yield made


def secrets_of(world: World) -> dict[str, str]:
    voices = {f"plane_token_{role}": key for role, (_, key) in world._voices.items()}
    return voices | {
        "plane_token": world.plane.key,
        "plane_webhook_secret": PLANE_SECRET,
        "gitea_token": world.gitea.token,
        "gitea_webhook_secret": GITEA_SECRET,
        "telegram_token": TELEGRAM_TOKEN,
        "admin_token": ADMIN,
        "model": MODEL,
        "daemon's environment": DAEMONS,
        "proxy": PROXY,
    }


def tempt(world: World, secrets: dict[str, str]) -> None:
    """Let both services fail on the way, and say in their answers what they were sent."""
    key, token = secrets["plane_token"], secrets["gitea_token"]
    basic = httpx.BasicAuth("orch", token)._auth_header
    echo = {"error": f"X-API-Key: {key}", "padding": "x" * 120, "again": [key, forms_of(key)["base64 +1"].decode()]}
    plane, gitea = world.plane.faults, world.gitea.faults
    plane.fail_next("items.patch", PlaneRefused(502, {**echo, "hook": PLANE_SECRET}))
    plane.fail_next("comments.post", PlaneRefused(401, {"detail": f"Given API token is not valid: {key}"}))
    plane.fail_next("activities.list", PlaneRefused(500, f"<pre>Authorization: {key}</pre>" * 10))
    gitea.fail_next("pulls.create", GiteaRefused(500, {"message": f"Authorization: token {token}", "hook": GITEA_SECRET}))
    gitea.fail_next("statuses.combined", GiteaRefused(401, {"message": f"{basic} is refused"}))
    gitea.fail_next("comments.create", GiteaRefused(503, f"{'x' * 180}token {token}"))
    gitea.fail_next("git.receive-pack.refs", GiteaRefused(500, f"fatal: unable to access 'http://orch:{token}@git/': {basic}"))


async def login(world: World, secrets: dict[str, str]) -> dict[str, str]:
    """Take a session as a browser does; its cookie and its one-time code are secrets too."""
    secrets["token"] = (world.data / "token").read_text().strip()
    async with httpx.AsyncClient(base_url=world.url, trust_env=False) as client:
        link = (await client.post("/login/links", headers={"Authorization": f"Bearer {secrets['token']}"})).json()["url"]
        secrets["login code"] = link.partition("code=")[2]
        cookie = (await client.get(f"/login?code={secrets['login code']}")).headers["set-cookie"].split(";")[0]
    secrets["session"] = cookie.partition("=")[2].partition(".")[2]
    return {"Cookie": cookie}


def everything(paths: dict[str, Any], runs: int) -> list[str]:
    """Return every address that can be read, filled in."""
    reading = [path for path, ways in paths.items() if "get" in ways and not path.startswith(("/ws/", "/login"))]
    named = [path.replace("{id}", "SHOP-1").replace("{file}", "01-brd.md") for path in reading]
    return [path.replace("{n}", str(number)) for path in named for number in range(1, runs + 1 if "{n}" in path else 2)]


async def collect(hunt: Hunt, world: World, person: Person, telegram: FakeTelegram, headers: dict[str, str]) -> None:
    """Take everything that can be looked at while the daemon runs."""
    task = await person.task("SHOP-1")
    paths = (await person.get("/openapi.json"))["paths"]
    seen = await hunt.pages(world.url, everything(paths, len(task["runs"])), headers)
    assert sum(status == 200 for status in seen.values()) > 15, seen
    hunt.data_directory(world.data)
    hunt.database(world.data / "orch.db")
    for comment in world.plane.project.comments.values():
        hunt.add("comments on the board", comment.html)
    hunt.add("cards", repr(world.plane.project.items))
    hunt.add("pull requests", repr(world.gitea.repo.pulls) + repr(world.gitea.repo.statuses) + repr(world.gitea.log))
    for message in telegram.api.messages():
        hunt.add("chat", message.text + repr(message.buttons))
    hunt.published(world.gitea.repo.git.path, "refs")
    hunt.published(world.data / "projects/shop/mirror.git", "refs/heads")


@pytest.mark.timeout(300)
async def test_R10_no_secret_is_in_anything_that_the_daemon_leaves_says_shows_or_starts(
    tmp_path: Path, log: io.StringIO, environment: None, telegram: FakeTelegram
) -> None:
    async with services(tmp_path) as world:
        secrets = secrets_of(world)
        hunt = Hunt(secrets)
        operators = tmp_path / ".env"  # where an operator keeps what the daemon is started with
        operators.write_text("\n".join(secrets.values()))
        thief = tmp_path / "thief.py"
        thief.write_text(THIEF)
        hostile = RoleSettings(agent="command", command=(sys.executable, str(thief), str(world.data), str(operators)))
        roles = dict(world.plan({}).projects[0].roles) | {Role.DEVELOPER: hostile}
        world.project(roles=roles)
        tempt(world, secrets)
        chat: dict[str, Any] = {
            "telegram_token": SecretStr(TELEGRAM_TOKEN),
            "telegram_chat_id": "-1001",
            "telegram_api_url": telegram.url,
            "admin_token": SecretStr(ADMIN),
        }
        async with world.daemon(sandbox="off", **chat) as person:
            headers = await login(world, secrets)
            async with hunt.watching(world.url, "/ws/queue", *(f"/ws/runs/{number}" for number in range(1, RUNS + 1))):
                issue = world.start()
                await world.until_column(issue, "In Review", within_s=PATIENCE_S)
                world.carol.move(issue, "Approved")
                await person.until(
                    "SHOP-1", lambda it: it["stage"] == "development" and it["run_count"] >= 3, within_s=PATIENCE_S
                )
                await world.until_column(issue, "Done", within_s=PATIENCE_S)
                await world.settle(person)
                await collect(hunt, world, person, telegram, headers)
        hunt.data_directory(world.data)
    hunt.add("log", log.getvalue())
    leaks = hunt.leaks(but={"environment of ": ["proxy"]})  # without it nobody behind one reaches anything
    assert not leaks, "\n".join(map(str, leaks))
    runs = b"".join(text for place, text in hunt.found.items() if place.endswith("output.log"))
    assert runs.count(logs.STRUCK.encode()) > 100, "the thief found something, and it was struck out"
    assert b"secret of the daemon's" in hunt.found["comments on the board"], "what it committed was refused"
    world.plane.faults.assert_used()
    world.gitea.faults.assert_used()


@pytest.mark.parametrize("form", forms_of("c4nary/+ of this test"))
def test_the_search_finds_every_form(form: str) -> None:
    """The proof that the story can fail."""
    secret = "c4nary/+ of this test"
    hunt = Hunt({"it": secret})
    text = forms_of(secret)[form]
    hunt.add("somewhere", b"before" + text[:5] + b"\n" + text[5:] + b"after")
    assert ("somewhere", "it", form) in hunt.leaks()
