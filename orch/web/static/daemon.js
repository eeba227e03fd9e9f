// What waits, the daemon's side: projects with their freezes and pauses, the serial gate, accounts, deploys, STOP, the outbox, its own health.
"use strict";
(() => {
  const Orch = window.Orch;
  const row = (key, given) => Orch.waitRow(key, given);
  const panel = (rows, more) => Orch.waitPanel(rows, more);
  const quiet = (rows, calm, more) => Orch.quietPanel(rows, calm, more);
  const act = (key, quick, run, tone = "") => ({ key, quick, run, tone });

  async function ask(path, project, title, label) {
    const fields = label ? [{ name: "reason", label, kind: "text", rows: 2, max: 1000 }] : [];
    const said = await Orch.ask({ title: `${title} ${project}`, fields, yes: title });
    if (said) await Orch.post(path, label ? { project, reason: said.reason } : { project });
    window.Alpine.store("live").refreshQueue();
  }

  function projectRow(project) {
    const name = project.name;
    const acts = [
      project.freeze
        ? act("unfreeze", "Unfreeze", () => ask("/serial-gate/unfreeze", name, "Unfreeze", "Why it may go on"))
        : act("freeze", "Freeze", () => ask("/serial-gate/freeze", name, "Freeze", "Why it must wait"), "ghost"),
      project.paused
        ? act("unpause", "Unpause", () => ask("/unpause", name, "Unpause"))
        : act("pause", "Pause", () => ask("/pause", name, "Pause"), "ghost"),
    ];
    const freeze = project.freeze;
    const marks = [freeze && "frozen", project.paused && "paused"].filter(Boolean).join(", ");
    const why = [
      freeze && `Frozen by ${freeze.by || Orch.word(freeze.cause).toLowerCase()}. ${freeze.detail}`,
      project.paused && "Paused: what runs finishes, nothing new starts.",
    ];
    return row(name, {
      title: name,
      mark: marks || "open",
      markTone: freeze ? "run" : project.paused ? "warn" : "good",
      acts,
      since: freeze?.since || "",
      why: why.filter(Boolean).join(" "),
      side: marks ? "" : Orch.sha(project.main),
    });
  }

  function heldRows(agents) {
    const lift = (name) => async () => {
      await Orch.post(`/accounts/${encodeURIComponent(name)}/lift`);
      window.Alpine.store("live").refreshQueue();
    };
    const accounts = agents.accounts.map((each) =>
      row(`a${each.name}`, {
        title: `Account ${each.name}`,
        why: `${Orch.word(each.cause)}. ${each.detail} Tried again ${Orch.moment(each.until)}.`,
        mark: "paused",
        markTone: "warn",
        since: each.since,
        acts: [act("lift", "Lift", lift(each.name))],
      }),
    );
    const shortages = agents.shortages.map((each) =>
      row(`s${each.resource}`, {
        title: `Too little ${each.resource}`,
        why: `${each.free_mb} MB are free, ${each.floor_mb} MB are wanted: nothing new is begun.`,
        mark: "short",
        markTone: "bad",
      }),
    );
    return [...accounts, ...shortages];
  }

  function deployRows(deploy) {
    const kinds = [
      ["asking", "asking", ""],
      ["awaiting", "your confirm", "warn"],
      ["turn", "in turn", ""],
      ["running", "deploying", "run"],
      ["watch", "watched", "run"],
      ["last", "last", "good"],
    ];
    return kinds.flatMap(([kind, mark, markTone]) =>
      deploy[kind].map((each) =>
        row(`${kind}${each.project}${each.id}`, {
          id: each.id || "",
          title: [each.project, Orch.sha(each.sha)].join(" · "),
          why: Orch.undated(each.why || each.detail || ""),
          mark: each.state && kind !== "last" ? `${mark}: ${each.state}` : mark,
          markTone: each.state === "degraded" ? "bad" : markTone,
          since: each.since || each.started_at || each.ended_at || "",
        }),
      ),
    );
  }

  function stopRows(stop) {
    return [
      ...stop.pending.map((each) =>
        row(`p${each.id}`, {
          id: each.id,
          why: `Asked for; it stops when what cannot be cut short (${Orch.word(each.stage)}) has ended.`,
          mark: "pending",
          markTone: "bad",
          since: each.requested_at,
        }),
      ),
      ...stop.unfinished.map((each, at) =>
        row(`u${at}`, { id: each.id || "", why: "Being cleared up.", mark: "unfinished", markTone: "warn", since: each.since }),
      ),
      ...stop.survivors.map((each) =>
        row(`s${each.pid}`, {
          id: each.id || "",
          why: `Process ${each.pid} (${each.name}) could not be ended.`,
          mark: "lives on",
          markTone: "bad",
        }),
      ),
    ];
  }

  function outboxRows(outbox) {
    const rows = (list, mark, markTone) =>
      list.map((each) =>
        row(each.id, {
          id: each.task || "",
          title: `${Orch.word(each.target)}: ${each.kind}`,
          why: each.error,
          mark,
          markTone: each.tries || mark === "parked" ? markTone : "",
          side: each.tries ? Orch.plural(each.tries, "try", "tries") : "",
        }),
      );
    return [...rows(outbox.parked, "parked", "bad"), ...rows(outbox.pending, "pending", "warn")];
  }

  function pollRows(reconcile) {
    return Object.entries(reconcile.projects).map(([name, report]) => {
      const told = Object.entries(report)
        .filter(([, value]) => typeof value === "string" || typeof value === "number")
        .slice(0, 5);
      return row(`r${name}`, {
        title: `Last poll of ${name}`,
        why: told.map(([key, value]) => `${key.replaceAll("_", " ")} ${value}`).join(" · "),
        mark: report.error ? "fault" : "",
        markTone: "bad",
      });
    });
  }

  function healthRows(live) {
    const ready = live.ready || { not_ready: {}, notices: {} };
    const reconcile = live.queue.reconcile;
    const rows = [
      ...Object.entries(ready.not_ready || {}).map(([part, why]) =>
        row(`n${part}`, { title: Orch.word(part), why, mark: "not ready", markTone: "bad" }),
      ),
      ...Object.entries(ready.notices || {}).map(([part, why]) =>
        row(`h${part}`, { title: Orch.word(part), why, mark: "see to it", markTone: "warn" }),
      ),
      row("reconcile", {
        title: "Reconciler",
        mark: reconcile.enabled ? "on" : "off",
        markTone: reconcile.enabled ? "good" : "warn",
        why: reconcile.enabled
          ? `looks every ${reconcile.interval_s} s${reconcile.board ? "" : ", not at boards"}`
          : "what no webhook tells is not found",
        side: `${reconcile.inbox} in the inbox`,
      }),
      ...pollRows(reconcile),
    ];
    const budget = live.queue.budget;
    if (budget?.day?.limit_usd)
      rows.push(
        row("budget", {
          title: "Budget of the day",
          why: `${Orch.money(budget.day.spent_usd)} of ${Orch.money(budget.day.limit_usd)}`,
          mark: budget.day.open === false ? "used up" : "open",
          markTone: budget.day.open === false ? "bad" : "good",
        }),
      );
    return rows;
  }

  Orch.daemonSide = {
    get repos() {
      return panel(this.live.projects.map(projectRow));
    },
    get gate() {
      const gate = this.live.queue?.serial_gate;
      const rows = (gate?.held || []).map((each) =>
        row(each.id, {
          id: each.id,
          title: this.live.byId(each.id)?.title || "",
          why: `behind ${each.by}`,
          mark: "held",
          markTone: "warn",
        }),
      );
      const fixes = (gate?.fixes || []).map((id) =>
        row(`f${id}`, {
          id,
          title: this.live.byId(id)?.title || "",
          why: "passes gate and freeze",
          mark: "fix",
          markTone: "acc",
        }),
      );
      return quiet([...rows, ...fixes], gate?.enabled ? "The serial gate holds nobody." : "The serial gate is off.", {
        tally: gate?.enabled ? gate.projects.join(", ") : "off",
      });
    },
    get held() {
      return quiet(this.live.queue ? heldRows(this.live.queue.agents) : [], "No account is paused, and there is room.");
    },
    get deploys() {
      return quiet(this.live.queue ? deployRows(this.live.queue.deploy) : [], "Nothing is deployed or waits for it.", {
        tally: "",
      });
    },
    get stops() {
      return quiet(this.live.queue ? stopRows(this.live.queue.stop) : [], "No STOP is pending.");
    },
    get outbox() {
      return quiet(this.live.queue ? outboxRows(this.live.queue.outbox) : [], "Everything is delivered.");
    },
    get calm() {
      const panels = [this.gate, this.held, this.deploys, this.stops, this.outbox];
      return panels
        .filter((each) => !each.shown)
        .map((each) => each.calm)
        .join(" ");
    },
    get health() {
      return panel(this.live.queue ? healthRows(this.live) : [], { tally: `version ${this.live.daemon}` });
    },
  };
})();
