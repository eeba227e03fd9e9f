"""The daemon's users on one Plane: a key per role where there is one, the shared one for everything else.

Owns: which key speaks for whom, one connection and one bucket per key, and who our own users are. Does not own what is said.
Rule: our own users are asked of the server, never configured, and an entry of theirs is an echo; while that is not known
for the key that moves cards, no activity is judged at all.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self, final

import anyio

from orch.adapters.http import ApiKey, ServiceClient
from orch.adapters.plane.api import REFUSAL, SERVICE, PlaneApi, garbage
from orch.adapters.plane.parse import parse_uuid
from orch.adapters.throttle import TokenBucket
from orch.core.errors import CredentialRefused, PermanentError
from orch.core.ids import UserId
from orch.core.stages import Role
from orch.logs import get_logger

HEADER = "X-API-Key"
ASK_AGAIN_S = 300.0
"""How long a role's key that was refused is left alone."""
_log = get_logger("plane")


@final
class PlaneAccounts:
    """Every project of one Plane shares these. *tokens* are those of single roles; *per_minute* is the calls of one key."""

    def __init__(self, url: str, workspace: str, token: str, tokens: Mapping[Role, str], *, per_minute: int) -> None:
        self.url = url
        self.workspace = workspace
        names = {token: "ORCH_PLANE_TOKEN"}
        for role, own in tokens.items():
            names.setdefault(own, f"ORCH_PLANE_TOKEN_{role.upper()}")
        self._apis = {key: PlaneApi(_client(url, key, name, per_minute), workspace) for key, name in names.items()}
        self._token = token
        self._voices = {role: own for role, own in tokens.items() if own != token}
        self._users: dict[str, UserId] = {}
        self._refused_at: dict[str, float] = {}
        self._asking = anyio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for api in self._apis.values():
            await api.client.aclose()

    @property
    def shared(self) -> PlaneApi:
        """The daemon's own user: it reads everything and moves the cards."""
        return self._apis[self._token]

    def voice(self, role: Role) -> tuple[PlaneApi, bool]:
        """Return who speaks for *role*, and whether it is a user of the role's own."""
        own = self._voices.get(role)
        return (self.shared, False) if own is None else (self._apis[own], True)

    def known_users(self) -> frozenset[UserId]:
        """Return those of our users that the server was asked about already."""
        return frozenset(self._users.values())

    async def own_users(self) -> frozenset[UserId]:
        """Return our users; each key is asked once. A role's key that is refused is left out, and tried again later."""
        async with self._asking:
            for token, api in self._apis.items():
                if token not in self._users and not self._rests(token):
                    await self._ask(token, api)
            return self.known_users()

    def _rests(self, token: str) -> bool:
        at = self._refused_at.get(token)
        return at is not None and anyio.current_time() < at + ASK_AGAIN_S

    async def _ask(self, token: str, api: PlaneApi) -> None:
        try:
            me = await api.me()
        except (PermanentError, CredentialRefused) as error:
            if token == self._token:
                raise
            self._refused_at[token] = anyio.current_time()
            _log.error("a role's key is refused", detail=str(error))
            return
        user = parse_uuid(me.get("id"))
        if user is None:
            raise garbage("who am I", "a user")
        self._users[token] = UserId(user)


def _client(url: str, token: str, name: str, per_minute: int) -> ServiceClient:
    advice = f"the key is wrong, expired or withdrawn: make a new one for that user on Plane and give it as {name}"
    key = ApiKey(header=HEADER, token=token, refusal=REFUSAL, advice=advice)
    bucket = TokenBucket(per_minute=per_minute, burst=max(1, per_minute // 5))
    return ServiceClient(SERVICE, url, key, bucket=bucket)
