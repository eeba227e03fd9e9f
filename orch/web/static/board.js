// The board: every task in its column, the filters, and what is running. Moving and acting is in board_acts.js.
"use strict";
(() => {
  const Orch = window.Orch;
  const DONE_SHOWN = 15;
  const FOLDS = "orch-folded";
  const opened = {}; // a column that once had a card stays open while the page is, so that nothing jumps

  function readFolds() {
    try {
      return JSON.parse(localStorage.getItem(FOLDS)) || {};
    } catch {
      return {};
    }
  }

  const newest = (a, b) => (b.task.finished_at || "").localeCompare(a.task.finished_at || "");

  /** Sort the cards that are to be shown into the columns. */
  function deal(live, shown) {
    const hands = new Map(Orch.COLUMNS.map((column) => [column.key, []]));
    const taken = new Set();
    for (const task of live.all()) {
      taken.add(`${task.project} ${task.issue}`);
      const card = Orch.taskCard(task);
      if (shown(card)) hands.get(Orch.columnOf(task)).push(card);
    }
    for (const issue of live.issues) {
      const card = issue.task || taken.has(`${issue.project} ${issue.id}`) ? null : Orch.issueCard(issue);
      if (card && shown(card)) hands.get("backlog").push(card);
    }
    hands.get("done").sort(newest);
    return hands;
  }

  const filters = {
    text: "",
    project: new URLSearchParams(location.search).get("project") || "",
    mine: false,

    get projectNames() {
      return this.live.projects.map((project) => project.name);
    },
    get several() {
      return this.live.projects.length > 1;
    },
    shown(card) {
      if (this.project && card.project !== this.project) return false;
      if (this.mine && !(card.task && Orch.needsPerson(card.task))) return false;
      return this.text
        .toLowerCase()
        .split(/\s+/)
        .every((word) => card.text.includes(word));
    },
    get needed() {
      return this.live.all().filter(Orch.needsPerson).length;
    },
  };

  const header = {
    get tally() {
      const totals = this.live.totals;
      const going = this.live.all().filter((task) => !Orch.isOver(task)).length;
      const cost = this.live.all().reduce((sum, task) => sum + (task.cost_usd || 0), 0);
      return `${going} in the line · ${Orch.money(cost)}${totals?.more ? " shown" : ""}`;
    },
    /** What holds more than one task: freezes, pauses, a daemon that is not well. */
    get marks() {
      const marks = this.live.projects
        .filter((project) => project.freeze)
        .map((project) => ({ key: `f${project.name}`, tone: "run", text: `${project.name} frozen` }));
      for (const project of this.live.projects)
        if (project.paused) marks.push({ key: `p${project.name}`, tone: "warn", text: `${project.name} paused` });
      const missing = Object.keys(this.live.ready?.not_ready || {});
      if (missing.length) marks.push({ key: "ready", tone: "bad", text: `not ready: ${missing.join(", ")}` });
      return marks;
    },
    get agents() {
      return this.live
        .all()
        .filter((task) => task.running)
        .map((task) => {
          const run = task.running;
          return {
            key: run.n,
            id: task.id,
            href: Orch.taskHref(task.id),
            role: Orch.word(run.role || run.kind),
            since: run.started_at,
            elapsed: Orch.duration(Orch.since(run.started_at)),
            model: Orch.shortModel(run),
            title: task.title,
            kind: run.kind === "agent" ? "run" : "",
          };
        });
    },
    get agentsBusy() {
      return this.agents.filter((each) => each.kind).length;
    },
    get agentsText() {
      const slots = this.live.queue?.agents?.slots;
      return slots ? `of ${slots} agents` : "agents";
    },
  };

  const board = {
    live: null,
    folds: readFolds(),
    all: false,

    init() {
      this.$watch("project", (name) =>
        history.replaceState(null, "", name ? `?project=${encodeURIComponent(name)}` : location.pathname),
      );
      document.addEventListener("keydown", (event) => this.global(event));
      document.addEventListener("mousemove", () => this.dragged && this.endDrag()); // the card went while it was dragged
      document.addEventListener("orch:changed", () => this.keepFocus());
    },
    get columns() {
      const hands = deal(this.live, (card) => this.shown(card));
      return Orch.COLUMNS.map((column) => {
        const cards = hands.get(column.key);
        if (cards.length) opened[column.key] = true;
        const folded = this.folds[column.key] ?? !(cards.length || opened[column.key]);
        const over = column.key === "done" && !this.all ? Math.max(0, cards.length - DONE_SHOWN) : 0;
        return {
          ...column,
          cards: over ? cards.slice(0, DONE_SHOWN) : cards,
          count: cards.length,
          folded,
          hidden: over > 0,
          hiddenText: `${over} more`,
        };
      });
    },
    get isEmpty() {
      return !this.live.all().length && !this.live.issues.some((issue) => !issue.task);
    },
    columnClass(column) {
      return {
        folded: column.folded,
        yours: column.key === "plan",
        bare: !column.count,
        target: Boolean(this.dragged && this.actFor(column)),
        hit: this.target === column.key,
      };
    },
    fold(column) {
      this.folds = { ...this.folds, [column.key]: !column.folded };
      try {
        localStorage.setItem(FOLDS, JSON.stringify(this.folds));
      } catch {
        // kept for this sight only
      }
    },
    showMore() {
      this.all = true;
    },
    global(event) {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        event.defaultPrevented ||
        event.target.closest("input, textarea, select, dialog[open], [popover]")
      )
        return;
      const acts = {
        j: () => this.step(1),
        ArrowDown: () => this.step(1),
        k: () => this.step(-1),
        ArrowUp: () => this.step(-1),
        ArrowRight: () => this.step(0, 1),
        ArrowLeft: () => this.step(0, -1),
        l: () => this.step(0, 1),
        h: () => this.step(0, -1),
        c: () => this.mayAdd && this.addCard(),
        Escape: () => (this.text = ""),
      };
      const act = acts[event.key];
      if (!act || (event.key.startsWith("Arrow") && !document.activeElement?.closest(".card"))) return;
      event.preventDefault();
      act();
    },
  };

  document.addEventListener("alpine:init", () => {
    window.Alpine.data("board", () => {
      const parts = [filters, header, ...Orch.boardActs, board].map(Object.getOwnPropertyDescriptors);
      const made = Object.defineProperties({}, Object.assign({}, ...parts));
      made.live = window.Alpine.store("live");
      return made;
    });
  });
})();
