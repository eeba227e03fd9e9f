"""The first hour on Gitea: what the token may do, and the repository's settings, protection and hook.

Owns: ``GiteaSetup``. Rule: what is right already stays untouched; a protection is never weakened but for the bot's own right to
push and to mark, and what people have ruled besides is named and left to them; scopes are tried on things that cannot exist.
"""

import base64
import binascii
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any, final
from urllib.parse import quote

from orch.adapters.gitea.api import GiteaApi
from orch.adapters.gitea.rights import fetch_branch_rights
from orch.adapters.gitea.webhook import ensure_webhook, list_webhooks
from orch.adapters.gitea.wire import SERVICE, garbage
from orch.adapters.http import ServiceReply
from orch.core.errors import PermanentError
from orch.ports.setup import Change, Ensured, RepoFacts

NOTHING_THERE = "orch-init-no-such-branch"
TEXT_MAX = 200_000
SCOPE = "scope"
"""What a 403 says when the token, and not its user, lacks a right."""
Rule = Mapping[str, Any]


@final
class GiteaSetup:
    """One repository, under the bot's token."""

    def __init__(self, api: GiteaApi) -> None:
        self._api = api

    # ------------------------------------------------------------------------------------------ looking

    async def look(self, branch: str, read: Collection[str]) -> RepoFacts:
        repo = await self._api.require_repo()
        own = repo.get("default_branch")
        at = branch or (own if isinstance(own, str) else "")
        if not at:
            raise PermanentError(SERVICE, "look at the repository", f"{self._api.repo} is empty: push a first commit to it")
        permissions = repo.get("permissions")
        administered = isinstance(permissions, dict) and permissions.get("admin") is True
        names = await self._names(at)
        texts = {name: await self._text(name, at) for name in read if name in names}
        return RepoFacts(default_branch=at, names=names, texts=texts, administered=administered)

    async def _names(self, branch: str) -> tuple[str, ...]:
        reply = await self._api.client.get(f"{self._api.path}/contents", {"ref": branch}, expect={404})
        if reply.status == 404:
            await self._api.require_repo()
            raise PermanentError(SERVICE, "look at the repository", f"{self._api.repo} has no branch {branch}, or nothing on it")
        rows = reply.body if isinstance(reply.body, list) else []
        return tuple(row["name"] for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str))

    async def _text(self, name: str, branch: str) -> str:
        """Return a file's text, empty for what is no file, no text or too large."""
        reply = await self._api.client.get(f"{self._api.path}/contents/{quote(name)}", {"ref": branch}, expect={404})
        row = reply.body if isinstance(reply.body, dict) else {}
        content = row.get("content")
        if row.get("type") != "file" or row.get("encoding") != "base64" or not isinstance(content, str):
            return ""
        try:
            return base64.b64decode(content[: 2 * TEXT_MAX])[:TEXT_MAX].decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return ""

    async def missing_scopes(self) -> tuple[str, ...]:
        """Return the scopes that the token lacks, tried on a branch and a comment that are not there."""
        api = self._api
        asked = {
            "read:user": await api.client.get("/user", expect={403}),
            "write:repository": await api.client.delete(f"{api.path}/branches/{NOTHING_THERE}", expect={403, 404}),
            "write:issue": await api.client.patch(f"{api.path}/issues/comments/0", {"body": ""}, expect={403, 404, 422}),
        }
        return tuple(scope for scope, reply in asked.items() if reply.status == 403 and SCOPE in reply.said)

    # ------------------------------------------------------------------------------------------ making sure

    async def ensure_marking(self) -> Ensured:
        wanted = {"allow_manual_merge": True, "autodetect_manual_merge": False}
        before = await self._api.require_repo()
        if all(before.get(name) is value for name, value in wanted.items()):
            return Ensured(change=Change.FOUND)
        reply = await self._api.client.patch(self._api.path, wanted)
        after = reply.body if isinstance(reply.body, dict) else {}
        trouble = tuple(name for name, value in wanted.items() if after.get(name, value) is not value)
        return Ensured(change=Change.MENDED, trouble=trouble)

    async def ensure_protection(self, branch: str) -> Ensured:
        bot, path = await self._login(), f"{self._api.path}/branch_protections"
        rules = [rule async for rule in _rules(self._api, path)]
        rule = next((each for each in rules if _name(each) == branch), None)
        if rule is None and any(fnmatchcase(branch, _name(each)) for each in rules):
            return await self._covered(branch)
        if rule is None:
            body = {"rule_name": branch, "branch_name": branch, **_allowing({}, bot)}
            reply = await self._api.client.post(path, body, expect={403})
            if reply.status == 403 and "exist" not in reply.said:
                raise PermanentError(SERVICE, f"POST {path}", f"HTTP 403 {reply.said}")
            return Ensured(change=Change.MADE if reply.status != 403 else Change.FOUND)
        needed = _allowing(rule, bot)
        if needed:
            _ruled(await self._api.client.patch(f"{path}/{quote(branch, safe='')}", needed), path)
        return Ensured(change=Change.MENDED if needed else Change.FOUND, trouble=_hindrances(rule))

    async def _covered(self, branch: str) -> Ensured:
        """A rule for several branches holds: it is not ours to change, and says whether the bot may push."""
        rights = await fetch_branch_rights(self._api, branch)
        trouble = [name for name, may in (("push", rights.user_can_push), ("merge", rights.user_can_merge)) if not may]
        return Ensured(change=Change.FOUND, trouble=tuple(trouble))

    async def ensure_hook(self, url: str, secret: str) -> Ensured:
        before = [hook for hook in await list_webhooks(self._api) if hook.url == url]
        dropped = await ensure_webhook(self._api, url, secret)
        doubled = (f"{len(before)} × {url}",) if len(before) > 1 else ()
        return Ensured(change=Change.MENDED if before else Change.MADE, dropped=dropped, trouble=doubled)

    async def _login(self) -> str:
        reply = await self._api.client.get("/user")
        login = reply.body.get("login") if isinstance(reply.body, dict) else None
        if not isinstance(login, str) or not login:
            raise garbage("GET /user", "user")
        return login


async def _rules(api: GiteaApi, path: str) -> Any:
    """Yield the protections; this list has no pages."""
    reply = await api.client.get(path)
    if not isinstance(reply.body, list):
        raise garbage(f"GET {path}", "list of protections")
    for rule in reply.body:
        if isinstance(rule, dict):
            yield rule


def _ruled(reply: ServiceReply, path: str) -> None:
    if not isinstance(reply.body, dict):
        raise garbage(f"PATCH {path}", "protection")


def _name(rule: Rule) -> str:
    name = rule.get("rule_name") or rule.get("branch_name")
    return name if isinstance(name, str) else ""


def _allowing(rule: Rule, bot: str) -> dict[str, Any]:
    """Return what is to be changed so that *bot* may push and mark: itself on each list that is in force, and nothing wider."""
    wanted: dict[str, Any] = {}
    pushers = _users(rule, "push")
    if rule.get("enable_push") is not True:
        wanted |= {"enable_push": True, "enable_push_whitelist": True, "push_whitelist_usernames": _with(pushers, bot)}
    elif rule.get("enable_push_whitelist") is True and bot not in pushers:
        wanted["push_whitelist_usernames"] = _with(pushers, bot)
    mergers = _users(rule, "merge")
    if rule.get("enable_merge_whitelist") is True and bot not in mergers:
        wanted["merge_whitelist_usernames"] = _with(mergers, bot)
    return wanted


def _users(rule: Rule, kind: str) -> list[str]:
    users = rule.get(f"{kind}_whitelist_usernames")
    return [user for user in users if isinstance(user, str)] if isinstance(users, list) else []


def _with(users: list[str], bot: str) -> list[str]:
    return users if bot in users else [*users, bot]


def _hindrances(rule: Rule) -> tuple[str, ...]:
    """Return what of a rule refuses landings, whoever pushes: people have to decide about that."""
    patterns, signed = rule.get("protected_file_patterns"), rule.get("require_signed_commits") is True
    found = [f"protected_file_patterns = {str(patterns)[:80]}"] if patterns else []
    return (*found, *(["require_signed_commits"] if signed else []))
