"""The demonstration on services: the same line, with a Plane and a Gitea between the people and the daemon.

Owns: the person's part on the board, and what is looked at on both services in the end. Does not own: the services, the daemon
and the first hour, which the composition root runs beside it. Rule: a person acts on the board alone and sees what it shows;
every move reaches the daemon over HTTP, every commit by git over HTTP.
"""

import html
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

from rich.markup import escape

from orch.cli.api import Api
from orch.cli.demo import POLL_S, follow
from orch.cli.demo_report import TESTS, DemoReport, Remote, demo_folder
from orch.cli.options import DemoOptions
from orch.cli.sample import FILES, ISSUES, make_script
from orch.core.errors import DomainError
from orch.core.first_hour import Step
from orch.core.statuses import DEFAULT_NAMES, Status

DEADLINE_S = 300.0
SEEN_S = 60.0
"""How long what a service was told may take to show on the other side."""


class Scene(Protocol):
    """Both services as people see them. Cards are ids of the board."""

    @property
    def plane_url(self) -> str: ...

    @property
    def gitea_url(self) -> str: ...

    @property
    def remote(self) -> Remote: ...

    def add_card(self, title: str, text: str) -> str: ...

    def move(self, card: str, column: str) -> None: ...

    def comment(self, card: str, text: str) -> None: ...

    def block(self, card: str, by: str) -> None:
        """Say on the board that *card* waits for *by*."""

    def column(self, card: str) -> str: ...

    def merged(self) -> list[str]:
        """Return the titles of the pull requests that are marked as merged."""

    def delivered(self) -> tuple[int, int]:
        """Return how many webhooks Plane and Gitea got rid of."""

    def settle(self) -> None:
        """Wait until no webhook is on its way."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What is to be rehearsed: *files* are the repository's, *told* hears the first hour's steps."""

    folder: Path
    files: Mapping[str, str]
    script: Path
    test_command: tuple[str, ...]
    port: int | None
    told: Callable[[Step], None]


Rehearse = Callable[[Rehearsal, Callable[[Scene, str], None]], None]


@final
class ServicesDemo:
    """*rehearse* runs services, first hour and daemon while it calls the given work with the scene and the daemon's address."""

    def __init__(self, options: DemoOptions, connect: Callable[..., Api], rehearse: Rehearse) -> None:
        self._options = options
        self._connect = connect
        self._rehearse = rehearse
        self._report = DemoReport(options)
        self._decided: set[tuple[str, str]] = set()

    def run(self) -> int:
        """Run it; 0 when everything reached done and the proof holds."""
        with demo_folder(self._options.keep) as folder:
            script = folder / "script.json"
            script.write_text(json.dumps(make_script([f"DEMO-{n + 1}" for n in range(len(ISSUES))])), encoding="utf-8")
            rehearsal = Rehearsal(
                folder=folder,
                files=FILES,
                script=script,
                test_command=TESTS,
                port=self._options.port,
                told=self._told,
            )
            self._report.say("A Plane and a Gitea of its own are started, and [bold]orch init[/bold] is run on them")
            self._rehearse(rehearsal, lambda scene, url: self._person(scene, url, folder))
        return self._report.end()

    def _told(self, step: Step) -> None:
        from orch.core.render import render_step

        said, _ = render_step(step, "en")
        self._report.say(f"[dim]orch init:[/dim] {escape(said)}")

    # -------------------------------------------------------------------------------------------- the person

    def _person(self, scene: Scene, url: str, folder: Path) -> None:
        api, report = self._connect(folder / "data", None), self._report
        report.say(f"Plane answers at {scene.plane_url}, Gitea at {scene.gitea_url}, the daemon at {url}")
        cards = self._make_cards(scene)
        rejects = {card: list(issue.rejects) for card, issue in zip(cards, ISSUES, strict=True)}
        tasks = follow(api, report, cards, lambda task: self._decide(scene, task, rejects), within_s=DEADLINE_S)
        report.prove(tasks, scene.remote)
        self._look(scene, cards)
        report.table(tasks)
        if self._options.serve:
            clone = f"git clone {scene.remote.shown} (user anna, password: password of anna)"
            report.stay(f"Everything stays up until Ctrl-C: the daemon at {url}, Plane at {scene.plane_url}; {clone}", api)

    def _make_cards(self, scene: Scene) -> list[str]:
        cards: list[str] = []
        for number, issue in enumerate(ISSUES, 1):
            cards.append(scene.add_card(issue.title, f"<p>{html.escape(issue.body)}</p>"))
            after = f", blocked by DEMO-{issue.after + 1}" if issue.after is not None else ""
            self._report.say(f"[bold]DEMO-{number}[/bold] {issue.title}{after} (a card on Plane)")
            if issue.after is not None:
                scene.block(cards[-1], cards[issue.after])
        for card in cards:
            scene.move(card, DEFAULT_NAMES[Status.TO_ANALYSE])
        return cards

    def _decide(self, scene: Scene, task: Mapping[str, Any], rejects: Mapping[str, list[str]]) -> None:
        """Decide once about each plan that the board shows: reject with the next reason where there is one, else approve."""
        card, plan = str(task["issue"]), (str(task["id"]), str(task["shown"]))
        if plan in self._decided or scene.column(card) != DEFAULT_NAMES[Status.IN_REVIEW]:
            return
        self._decided.add(plan)
        if reasons := rejects[card]:
            reason = reasons.pop(0)
            scene.comment(card, f"<p>{html.escape(reason)}</p>")
            scene.move(card, DEFAULT_NAMES[Status.REJECTED])
            said = f"[yellow]you comment and move the card to Rejected:[/yellow] {reason}"
        else:
            scene.move(card, DEFAULT_NAMES[Status.APPROVED])
            said = "[green]you move the card to Approved[/green]"
        self._report.say(f"[bold]{task['id']}[/bold] {said}")

    # -------------------------------------------------------------------------------------------- the proof

    def _look(self, scene: Scene, cards: list[str]) -> None:
        """Look at both services: every card must be in Done, every pull request marked as merged."""
        done = DEFAULT_NAMES[Status.DONE]
        until = time.monotonic() + SEEN_S
        while not (all(scene.column(card) == done for card in cards) and len(scene.merged()) == len(cards)):
            if time.monotonic() > until:
                shown = ", ".join(scene.column(card) for card in cards)
                raise DomainError(f"the services show something else: cards in {shown}; merged: {len(scene.merged())}")
            time.sleep(POLL_S)
        scene.settle()
        columns = [scene.column(card) for card in cards]
        plane, gitea = scene.delivered()
        services = {"plane": scene.plane_url, "gitea": scene.gitea_url}
        hooks = {"plane": plane, "gitea": gitea}
        proved = all(column == done for column in columns) and plane > 0 and gitea > 0
        self._report.add(services=services, columns=columns, merged=scene.merged(), webhooks=hooks, proved=proved)
        self._report.print(
            f"[bold]on the services[/bold]\n{len(cards)} cards in {done}, {len(scene.merged())} pull requests merged; "
            f"webhooks taken: {plane} of Plane, {gitea} of Gitea"
        )
