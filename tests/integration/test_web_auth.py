"""Who may read and who may act: the token file, one-time links, cookies, Origin, Host."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orch.core.errors import ConfigError
from orch.web.auth import load_or_make_token
from orch.web.links import CODES_MAX, LoginLinks
from tests.integration.web_world import BEARER, NOW, TOKEN, FixedClock, World, running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as made:
        yield made


def test_the_token_is_made_once_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    token = load_or_make_token(data)
    assert load_or_make_token(data) == token
    assert len(token) >= 40
    assert (data / "token").stat().st_mode & 0o777 == 0o600
    assert os.listdir(data) == ["token"]


def test_two_data_directories_have_two_tokens(tmp_path: Path) -> None:
    assert load_or_make_token(tmp_path / "a") != load_or_make_token(tmp_path / "b")


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_or_make_token(tmp_path)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_or_make_token(tmp_path)


def test_a_token_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("x" * 40)
    (tmp_path / "token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be used"):
        load_or_make_token(tmp_path)


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 40])
def test_a_token_file_without_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="token"):
        load_or_make_token(tmp_path)


def test_a_link_opens_once_and_not_for_ever() -> None:
    links, clock = LoginLinks(), FixedClock()
    once, late = links.issue(NOW), links.issue(NOW)
    assert links.redeem(once, NOW)
    assert not links.redeem(once, NOW)
    clock.move(minutes=11)
    assert not links.redeem(late, clock.now())
    assert not links.redeem("\ud800", NOW)


def test_links_that_nobody_uses_do_not_pile_up() -> None:
    links = LoginLinks()
    codes = [links.issue(NOW) for _ in range(CODES_MAX + 1)]
    assert not links.redeem(codes[0], NOW)
    assert links.redeem(codes[1], NOW)


WRONG = ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer \xff", TOKEN]


@pytest.mark.parametrize("header", WRONG)
async def test_a_wrong_token_opens_nothing(world: World, header: str) -> None:
    async with world.client(token=False) as client:
        reply = await client.post("/tasks/SHOP-1/approve", json={}, headers=[(b"Authorization", header.encode("latin1"))])
    assert reply.status_code == 401
    assert world.control.asked == []


async def test_the_configured_token_opens_as_well(tmp_path: Path) -> None:
    async with running(tmp_path, admin_token="configured-by-the-operator") as world, world.client(token=False) as client:
        for token in (TOKEN, "configured-by-the-operator"):
            reply = await client.post("/tasks/SHOP-1/stop", headers={"Authorization": f"bearer {token}"})
            assert reply.status_code == 200


async def log_in(world: World) -> str:
    """Use a one-time link and return the cookie as a browser sends it."""
    async with world.client() as client:
        url = (await client.post("/login/links")).json()["url"]
    async with world.client(token=False) as client:
        reply = await client.get(url.removeprefix(world.url))
        again = await client.get(url.removeprefix(world.url))
    assert (reply.status_code, again.status_code) == (200, 403)
    cookie = reply.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    return cookie.split(";")[0]


async def test_a_browser_with_a_link_may_act_from_our_own_page_only(world: World) -> None:
    cookie = await log_in(world)
    table = [(world.url, 200), (None, 403), ("http://evil.example", 403), ("null", 403), (world.url + "0", 403)]
    async with world.client(token=False) as client:
        for origin, status in table:
            headers = {"Cookie": cookie} | ({} if origin is None else {"Origin": origin})
            reply = await client.post("/tasks/SHOP-1/approve", json={}, headers=headers)
            assert reply.status_code == status, origin
    assert [command.by for command in world.control.asked] == ["page"]


async def test_a_session_ends_after_a_week_and_cannot_be_made_up(world: World) -> None:
    cookie = await log_in(world)
    name, _, value = cookie.partition("=")
    ends, _, mac = value.partition(".")
    forged = [f"{name}={int(ends) + 9}.{mac}", f"{name}={ends}.", f"{name}=.{mac}", f"{name}=x", f"{name}={ends}.{mac}0"]
    async with world.client(token=False) as client:
        for bad in forged:
            reply = await client.post("/tasks/SHOP-1/stop", headers={"Cookie": bad, "Origin": world.url})
            assert reply.status_code == 401, bad
        world.clock.move(days=8)
        reply = await client.post("/tasks/SHOP-1/stop", headers={"Cookie": cookie, "Origin": world.url})
    assert reply.status_code == 401


async def test_reading_needs_the_token_too_where_others_can_reach_us(tmp_path: Path) -> None:
    async with running(tmp_path, require_token_for_reading=True) as world:
        async with world.client(token=False) as client:
            for path, status in [("/healthz", 200), ("/readyz", 200), ("/", 401), ("/tasks", 401), ("/metrics", 401)]:
                assert (await client.get(path)).status_code == status, path
        async with world.client() as client:
            assert (await client.get("/tasks")).status_code == 200
        cookie = await log_in(world)
        async with world.client(token=False) as client:
            assert (await client.get("/", headers={"Cookie": cookie})).status_code == 200


@pytest.mark.parametrize(("host", "status"), [("evil.example", 421), ("localhost", 200), ("[::1]:80", 200), ("[", 421)])
async def test_another_name_for_loopback_reads_nothing(world: World, host: str, status: int) -> None:
    async with world.client(token=False) as client:
        reply = await client.get("/tasks", headers={"Host": host})
    assert reply.status_code == status


async def test_the_page_behind_a_public_address_is_ours(tmp_path: Path) -> None:
    async with running(tmp_path, public_url="https://orch.example/") as world, world.client(token=False) as client:
        seen = await client.get("/tasks", headers={"Host": "orch.example"})
        async with world.client() as opener:
            url = (await opener.post("/login/links")).json()["url"]
        assert url.startswith("https://orch.example/login?code=")
        cookie = (await client.get(url.removeprefix("https://orch.example"))).headers["set-cookie"]
        assert "Secure" in cookie
        headers = {"Cookie": cookie.split(";")[0], "Origin": "https://orch.example"}
        reply = await client.post("/tasks/SHOP-1/stop", headers=headers)
    assert (seen.status_code, reply.status_code) == (200, 200)


async def test_the_token_is_in_nothing_that_is_answered(world: World) -> None:
    async with world.client() as client:
        for route in world.app.routes:
            if not route.socket and not route.acting:
                reply = await client.get(route.path.replace("{id}", "SHOP-1").replace("{n}", "1"))
                assert TOKEN not in reply.text + str(reply.headers), route.path
    assert BEARER["Authorization"].endswith(TOKEN)
