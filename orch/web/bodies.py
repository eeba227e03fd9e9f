"""Request bodies: what may be sent, and how hostile bytes become a clear refusal.

Owns: the models, and ``read_body``. Rule: the bytes are bounded and parsed strictly; nothing that is not plain text of
a fair length gets past here, and what was wrong is said without repeating more than its name.
"""

import json
import re
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar, final

import anyio
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from quart import Request, request
from quart.wrappers.request import Body as BytesOfBody

from orch.core.budget import RAISE_MAX_USD, check_raise
from orch.web.problems import ProblemError

BODY_MAX = 1024 * 1024
BODY_TIMEOUT_S = 10
DRAIN_S = 1.0
KEYS_MAX = 32

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,79}$"


def _plain(text: str) -> str:
    if _UNFIT.search(text):
        raise ValueError("holds characters that are not text (control characters or half of a surrogate pair)")
    return text


def _line(text: str) -> str:
    line = " ".join(_plain(text).split())
    if not line:
        raise ValueError("is empty")
    return line


def _filled(text: str) -> str:
    if not _plain(text).strip():
        raise ValueError("is empty")
    return text


Line = Annotated[str, Field(max_length=1000), AfterValidator(_line)]
Prose = Annotated[str, Field(max_length=100_000), AfterValidator(_plain)]
FilledProse = Annotated[str, Field(max_length=100_000), AfterValidator(_filled)]
ProjectOrNone = Annotated[str, Field(pattern=r"^([A-Za-z0-9-]{1,40})?$")]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
By = Annotated[str, Field(default="", max_length=60), AfterValidator(_plain)]


class Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    by: By = Field(default="", description="Who acts, for the record; the door is put in front of it.")


class DecisionBody(Body):
    """A decision about a task."""

    shown: str = Field(
        default="", pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$", description="The SHA that was shown; another one is refused."
    )
    reason: Prose = ""


class IssueBody(Body):
    """A new card of the local board."""

    title: Annotated[str, Field(max_length=255), AfterValidator(_line)]
    body: Prose = ""
    project: Annotated[str, Field(pattern=r"^([A-Za-z0-9-]{1,40})?$")] = ""
    status: Annotated[str, Field(max_length=100), AfterValidator(_plain)] = ""


class MoveBody(Body):
    """A column, by logical key or name."""

    status: Annotated[Line, Field(max_length=100)]


class ArchiveBody(Body):
    """Whether the card is put away or brought back."""

    archived: bool = True


class CommentBody(Body):
    """A comment on a card."""

    text: FilledProse


class DependencyBody(Body):
    """*issue* waits for *on*."""

    issue: Name
    on: Name


Usd = Annotated[float, Field(gt=0, le=RAISE_MAX_USD, allow_inf_nan=False)]


class BudgetBody(Body):
    """Either by how many USD the budget is raised, or that it is lifted."""

    raise_usd: Usd | None = None
    lift: bool = False
    shown_usd: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="The limit that was shown; another one is refused."
    )

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if fault := check_raise(self.raise_usd, lift=self.lift):
            raise ValueError(fault)
        return self


class BackupBody(Body):
    """A folder on the daemon's machine, as an absolute path."""

    dir: Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_plain)]


class FindingBody(BaseModel):
    """One thing to mend."""

    model_config = ConfigDict(strict=True, extra="forbid")
    title: Line
    severity: Annotated[str, Field(default="major", max_length=40), AfterValidator(_plain)]
    path: Annotated[str, Field(default="", max_length=500), AfterValidator(_plain)]
    detail: Annotated[str, Field(default="", max_length=4000), AfterValidator(_plain)]


class SendBackBody(Body):
    """Where a task goes back to, and why: *reason*, *findings*, or both."""

    stage: Literal["analysis", "architecture", "development", "review", "testing", "deploy-staging"]
    reason: Annotated[str, Field(default="", max_length=20_000), AfterValidator(_plain)]
    findings: Annotated[list[FindingBody], Field(default_factory=list, max_length=100)]

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if not self.reason.strip() and not self.findings:
            raise ValueError("say why, in 'reason' or 'findings': whoever works on it next reads that")
        return self


class AdoptBody(Body):
    """*project* is needed only for an issue that the daemon has never seen."""

    project: ProjectOrNone = ""


class FreezeBody(Body):
    """*project* may be left out where there is only one."""

    project: ProjectOrNone = ""
    reason: Annotated[str, Field(default="", max_length=1000), AfterValidator(_plain)]


class PauseBody(Body):
    """All projects, where none is named."""

    project: ProjectOrNone = ""


class NoBody(Body):
    """Nothing is needed."""


B = TypeVar("B", bound=Body)


@final
class ArrivingBody(BytesOfBody):
    """A body that tells when its last byte came, also when it was refused before."""

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self.arrived = anyio.Event()
        self._appending = False

    def append(self, data: bytes) -> None:
        self._appending = True
        super().append(data)
        self._appending = False

    def set_complete(self) -> None:
        super().set_complete()
        if not self._appending:  # a body that grew too large is called complete in the middle
            self.arrived.set()

    async def drain(self) -> None:
        """Let the rest come, and be dropped, for a moment: a connection closed with unread bytes loses the answer."""
        with anyio.move_on_after(DRAIN_S):
            await self.arrived.wait()


@final
class ArrivingRequest(Request):
    body_class = ArrivingBody
    body: ArrivingBody


async def read_body(model: type[B]) -> B:
    """Read the current request's body as *model*; an absent body counts as ``{}``."""
    return parse_body(await request.get_data(cache=True, as_text=False, parse_form_data=False), model)


def parse_body(raw: bytes, model: type[B]) -> B:
    """Parse *raw*; raises ProblemError 400 for what is no JSON, 422 for JSON that does not fit."""
    try:
        value: Any = json.loads(raw.strip() or b"{}", parse_constant=_refuse_constant)
    except RecursionError:
        raise ProblemError(400, "The body is nested too deeply.") from None
    except ValueError:
        raise ProblemError(400, "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise ProblemError(422, "The body must be a JSON object.")
    if len(value) > KEYS_MAX:
        raise ProblemError(422, f"The body has {len(value)} fields; {_fields(model)}.")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise ProblemError(422, _first(error, model)) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _fields(model: type[Body]) -> str:
    return "known fields are " + ", ".join(model.model_fields)


def _first(error: ValidationError, model: type[Body]) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"])[:80]
    if first["type"] == "extra_forbidden":
        return f"{name!r} is not a field; {_fields(model)}."
    told = first["msg"].removeprefix("Value error, ")
    return f"{name}: {told}." if name else f"{told[:1].upper()}{told[1:]}."
