// What waits, for whom and why: the tasks' side (people, agents, other tasks), out of /queue. The daemon's side is in daemon.js.
"use strict";
(() => {
  const Orch = window.Orch;

  /** One line of a panel; what is not given is empty. */
  const row = (key, given) => ({
    key,
    id: "",
    href: given.id ? Orch.taskHref(given.id) : "",
    title: "",
    why: "",
    mark: "",
    markTone: "",
    side: "",
    tones: "",
    acts: [],
    indent: { "--depth": String(given.depth || 0) },
    since: "",
    ...given,
    age: given.since ? Orch.ago(given.since) : "",
    sinceText: given.since ? `since ${Orch.moment(given.since)}` : "",
  });
  Orch.waitRow = row;

  const panel = (rows, more = {}) => ({ rows, tally: rows.length ? String(rows.length) : "", shown: true, ...more });
  /** A panel that is only there while something stands in it; else *calm* is said in one line with the others. */
  Orch.quietPanel = (rows, calm, more = {}) => panel(rows, { shown: rows.length > 0, calm, ...more });
  Orch.waitPanel = panel;

  function personMark(task) {
    if (task.parked) return [Orch.word(task.parked.reason).toLowerCase(), "bad"];
    return { approval: ["plan", "warn"], input: ["questions", "warn"], confirm: ["deploy", "warn"], merge: ["merge", "warn"] }[
      task.awaiting
    ];
  }

  function peopleRows(live) {
    const waiting = live
      .all()
      .filter(Orch.needsPerson)
      .sort((a, b) => Boolean(a.parked) - Boolean(b.parked) || a.updated_at.localeCompare(b.updated_at));
    return waiting.map((task) => {
      const [mark, markTone] = personMark(task);
      const acts = Orch.actions(task).filter((act) => act.quick);
      return row(task.row, {
        id: task.id,
        title: task.title,
        why: Orch.undated(task.waiting || ""),
        mark,
        markTone,
        acts,
        since: task.parked?.since || task.updated_at,
      });
    });
  }

  const jobRow = (live) => (job) =>
    row(job.id, {
      id: job.task,
      title: live.byId(job.task)?.title || "",
      why: Orch.undated(job.waiting),
      mark: Orch.word(job.role),
      side: job.priority ? `priority ${job.priority}` : "",
      since: job.created_at,
    });

  const runRow = (live) => (run) =>
    row(run.n, {
      id: run.task,
      title: live.byId(run.task)?.title || "",
      why: [Orch.shortModel(run), Orch.word(run.stage)].filter(Boolean).join(" · "),
      mark: Orch.word(run.role || run.kind),
      markTone: "run",
      since: run.started_at,
    });

  /** Live tasks that wait neither for a person nor for an agent: CI, landing, a deploy's turn. */
  function restRows(live) {
    const queued = new Set(live.queue.jobs.queued.map((job) => job.task));
    const others = live
      .all()
      .filter((task) => !Orch.isOver(task) && !Orch.needsPerson(task) && !task.running && !queued.has(task.id));
    return others.map((task) =>
      row(task.row, {
        id: task.id,
        title: task.title,
        why: Orch.undated(task.waiting || ""),
        mark: Orch.stageWord(task.stage),
        since: task.updated_at,
      }),
    );
  }

  /** The dependencies as an indented list: under each task what it waits for, as deep as that goes, each branch once. */
  function linkRows(live, drop) {
    const tasks = new Map(live.queue.task_deps.tasks.map((each) => [each.id, each]));
    const below = new Set([...tasks.values()].flatMap((each) => each.on));
    const rows = [];
    const walk = (id, by, depth, seen) => {
      const task = live.byId(id);
      const open = by ? by.open.includes(id) : tasks.get(id)?.open.length > 0;
      rows.push(
        row(rows.length, {
          id,
          title: task?.title || "",
          depth,
          tones: depth ? "deep" : "",
          since: "",
          mark: by ? (open ? "open" : "done") : open ? "waits" : "free",
          markTone: open ? "warn" : "good",
          side: task ? Orch.word(task.stage) : "",
          acts:
            by && !by.board?.includes(id) ? [{ key: "drop", quick: "Remove", tone: "ghost", run: () => drop(by.id, id) }] : [],
        }),
      );
      if (seen.has(id) || depth > 12) return;
      for (const on of tasks.get(id)?.on || []) walk(on, tasks.get(id), depth + 1, new Set([...seen, id]));
    };
    for (const id of tasks.keys()) if (!below.has(id)) walk(id, null, 0, new Set());
    return rows;
  }

  const tasksSide = {
    get people() {
      return panel(peopleRows(this.live));
    },
    get queued() {
      const jobs = this.live.queue?.jobs;
      return panel((jobs?.queued || []).map(jobRow(this.live)));
    },
    get running() {
      const agents = this.live.queue?.agents;
      return panel([...(agents?.running || []), ...(agents?.commands || [])].map(runRow(this.live)));
    },
    get rest() {
      return panel(this.live.queue ? restRows(this.live) : []);
    },
    get slots() {
      const agents = this.live.queue?.agents || { slots: 0, busy: 0 };
      const pips = Array.from({ length: Math.min(agents.slots, 16) }, (_, at) => ({ key: at, on: at < agents.busy }));
      return { pips, text: `${agents.busy} of ${agents.slots} agents` };
    },
    get links() {
      const deps = this.live.queue?.task_deps;
      return panel(deps ? linkRows(this.live, (issue, on) => this.dropLink(issue, on)) : [], {
        tally: deps && !deps.enabled ? "shown, not awaited" : "",
      });
    },
    async addLink() {
      const fields = [
        { name: "issue", label: "This task or card", kind: "line", required: true, placeholder: "DEMO-2" },
        { name: "on", label: "waits for", kind: "line", required: true, placeholder: "DEMO-1" },
      ];
      const said = await Orch.ask({ title: "Add a dependency", fields, yes: "Add" });
      if (said) await Orch.post("/deps", said);
      this.live.refreshQueue();
    },
    async dropLink(issue, on) {
      await Orch.post("/deps", { issue, on }, { method: "DELETE" });
      this.live.refreshQueue();
    },
    get headline() {
      const queue = this.live.queue;
      return queue
        ? `${Orch.plural(queue.tasks.live.length, "live task")} · ${queue.jobs.queued.length} queued · ${queue.tasks.parked} parked`
        : "";
    },
  };

  document.addEventListener("alpine:init", () => {
    window.Alpine.data("waits", () => {
      const parts = [tasksSide, Orch.daemonSide].map(Object.getOwnPropertyDescriptors);
      const made = Object.defineProperties({}, Object.assign({}, ...parts));
      made.live = window.Alpine.store("live");
      return made;
    });
  });
})();
