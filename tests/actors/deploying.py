"""A task on its way into production: how it is asked about, confirmed, and what is read of it."""

from dataclasses import replace

from orch.core.messages import Decision, Verb
from orch.core.model import Awaiting, Deploy, DeploySettings
from tests.builders import make_project
from tests.fakes.line import Line, tx_task

ASKS = make_project(deploy=DeploySettings(command=("deploy",), timeout_s=300))
GOES_ON = replace(ASKS, deploy=replace(ASKS.deploy, confirm=False))
AGENT = replace(ASKS, deploy=DeploySettings(agent=True))
SAYS = "---\nverdict: {}\n---\nDone.\n"


async def asked(it: Line, title: str = "Add a greeting") -> str:
    """Take a task to where a person is asked about its deploy."""
    name = await it.start(title)
    await it.approve(name)
    await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.CONFIRM, within_s=300)
    return name


async def confirm(it: Line, name: str) -> None:
    assert (await it.decide(name, Decision.CONFIRM_DEPLOY)).verb is Verb.DONE


async def deploys(it: Line) -> list[Deploy]:
    """Return every deploy, oldest first."""
    return list(reversed(await it.read(lambda tx: tx.list_deploys())))


async def running_one(it: Line) -> Deploy:
    await it.until(lambda tx: bool(tx.running_deploys()))
    return (await it.read(lambda tx: tx.running_deploys()))[0]


async def said(it: Line, name: str) -> str:
    return "\n".join(comment.text for comment in await it.comments(name))
