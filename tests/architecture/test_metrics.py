"""Every metric is documented and every documented one is there; the dashboard asks for nothing else."""

import json
import re
from pathlib import Path
from typing import Any

from orch.core.budget import Purse
from orch.core.ids import ProjectName
from orch.core.model import Census, Repo, TrainRow
from orch.core.vitals import Vitals
from orch.snapshots import LineFigures, RepoFigures
from orch.web.metrics import Metrics

DOCS = Path(__file__).resolve().parents[2] / "docs"
SHOP = ProjectName("shop")


def rendered() -> str:
    """Return what a daemon answers that has something of everything."""
    metrics = Metrics("0")
    purse: Any = Purse(limit_usd=5.0, spent_usd=1.0)
    metrics.spent((), purse)
    repo = RepoFigures(
        repo=Repo(project=SHOP), train=TrainRow(project=SHOP), members=0, checks=0, width=1, wait_s=(1.0, 2.0), frozen_s=0.0
    )
    metrics.counted(LineFigures(census=Census(), repos={SHOP: repo}))
    metrics.viewers.set(0)
    return metrics.text(Vitals()).decode()


def names() -> dict[str, str]:
    """Return each metric's name, as it is asked for, with its type."""
    found = dict(re.findall(r"^# TYPE (\S+) (\S+)$", rendered(), re.MULTILINE))
    return {name: kind for name, kind in found.items() if not name.endswith("_created")}


def documented() -> dict[str, str]:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    return {name: kind.split(",")[0] for name, kind in re.findall(r"^\| `([a-z_]+)` \| (\w+(?:, kept)?) \|", text, re.MULTILINE)}


def test_every_metric_is_documented_with_its_kind_and_no_other() -> None:
    assert documented() == names()


def test_the_dashboard_is_json_and_asks_for_metrics_that_exist() -> None:
    board = json.loads((DOCS / "grafana" / "orch.json").read_text(encoding="utf-8"))
    asked = {target["expr"] for panel in board["panels"] for target in panel.get("targets", [])}
    used = {name for expr in asked for name in re.findall(r"\b(?:orch|process)_[a-z_]+\b", expr)}
    assert used <= names().keys()
    assert {name for name in names() if name.startswith("orch_")} <= used, "and shows every one of ours"


def test_the_dashboards_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    panels = json.loads((DOCS / "grafana" / "orch.json").read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)


def test_what_a_person_is_told_to_watch_exists() -> None:
    text = (DOCS / "metrics.md").read_text(encoding="utf-8").partition("## What to be told of")[2]
    assert set(re.findall(r"\borch_[a-z_]+\b", text)) <= names().keys()
