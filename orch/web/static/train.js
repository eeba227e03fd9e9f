// The merge train, drawn: main, the members in their order, and every check as a bracket from main to the last member that it tests.
"use strict";
(() => {
  const Orch = window.Orch;
  const TONES = { green: "good", red: "bad", timeout: "warn", infra: "warn", cancelled: "", interrupted: "" };

  const toneOf = (check) => (check.verdict ? (TONES[check.verdict] ?? "") : "run");

  function nameOf(ids) {
    if (!ids.length) return "main itself";
    return ids.length < 4 ? ids.join(", ") : `${ids[0]} … ${ids.at(-1)} (${ids.length})`;
  }

  /** The chain's order: what is under test keeps its place, the rest follows as it is queued. */
  function orderOf(train) {
    const free = new Map(train.members.filter((member) => !member.held).map((member) => [member.id, member]));
    const tested = [...train.checks].sort((a, b) => a.id - b.id).flatMap((check) => check.members);
    const order = new Set([...tested, ...free.keys()].filter((id) => free.has(id)));
    return [...order].map((id) => free.get(id));
  }

  /** Checks that say something about the chain as it stands: those that run, and verdicts on a prefix of it. */
  function telling(train, order) {
    const place = new Map(order.map((member, at) => [member.id, at + 1]));
    const isPrefix = (check) => check.base === train.main && check.members.every((id, at) => place.get(id) === at + 1);
    const known = new Set(train.checks.map((check) => check.tree));
    const old = train.ended.filter(
      (check) => ["green", "red"].includes(check.verdict) && isPrefix(check) && !known.has(check.tree) && known.add(check.tree),
    );
    const last = (check) => Math.max(0, ...check.members.map((id) => place.get(id) || 0));
    return [...train.checks, ...old]
      .map((check) => ({ check, last: last(check) }))
      .sort((a, b) => b.last - a.last || a.check.id - b.check.id);
  }

  function checkChip({ check, last }) {
    const running = !check.verdict;
    const what = last === 0 ? "main itself" : last === 1 ? "1" : `1–${last}`;
    return {
      key: check.id,
      tone: toneOf(check),
      running,
      since: check.started_at,
      text: `${running ? "testing" : check.verdict} ${what}`,
      elapsed: Orch.duration(running ? Orch.since(check.started_at) : check.seconds),
      title: `${nameOf(check.members)} on ${Orch.sha(check.base)}`,
    };
  }

  function lanesOf(checks) {
    return checks.map((each, at) => ({
      key: each.check.id,
      tones: `${toneOf(each.check)} ${each.check.verdict ? "" : "running"}`,
      title: nameOf(each.check.members),
      style: { "grid-row": `1 / ${each.last + 2}`, "grid-column": `${at + 1} / ${checks.length + 1}` },
    }));
  }

  function marksOf(member, train) {
    const marks = [];
    if (member.exempt) marks.push({ text: "fix", tone: "acc", title: "Exempt from freeze, first in the queue" });
    if (train.suspect === member.id)
      marks.push({
        text: "on trial",
        tone: "warn",
        title: "Red as the first of the chain: it is tested once more, and main beside it",
      });
    if (member.note) marks.push({ text: "note", tone: "", title: member.note });
    return marks;
  }

  function rowsOf(train, order, checks, titleOf) {
    const column = `${checks.length + 1} / -1`;
    const at = (place) => checks.filter((each) => each.last === place).map(checkChip);
    const main = {
      key: "main",
      id: "main",
      href: "/train",
      place: "",
      title: train.main ? Orch.sha(train.main) : "not fetched yet",
      marks: [],
      checks: at(0),
      tones: "main",
      style: { "grid-row": "1", "grid-column": column },
      since: "",
      age: "",
      sinceText: "",
    };
    return [
      main,
      ...order.map((member, index) => ({
        key: member.id,
        id: member.id,
        href: Orch.taskHref(member.id),
        place: index + 1,
        title: titleOf(member.id),
        marks: marksOf(member, train),
        checks: at(index + 1),
        tones: train.suspect === member.id ? "suspect" : "",
        style: { "grid-row": String(index + 2), "grid-column": column },
        since: member.since,
        age: Orch.ago(member.since),
        sinceText: `at deploy-staging since ${Orch.moment(member.since)}`,
      })),
    ];
  }

  function figuresOf(train) {
    const wait = train.wait_s;
    return [
      { name: "Landed tasks", value: train.landed, unit: "", title: `in ${train.landings} pushes of main` },
      { name: "Pushes of main", value: train.landings, unit: "", title: "" },
      {
        name: "Runs per task",
        value: train.runs_per_landed === null ? "–" : train.runs_per_landed.toFixed(2),
        unit: "",
        title: `${train.runs} runs of the test command`,
      },
      {
        name: "Wait, median",
        value: wait ? Orch.span(wait.p50) : "–",
        unit: "",
        title: "of the last hundred, from deploy-staging to landed",
      },
      { name: "Wait, 95 %", value: wait ? Orch.span(wait.p95) : "–", unit: "", title: "" },
      {
        name: "Sent back",
        value: train.ejected,
        unit: train.red_share === null ? "" : Orch.percent(train.red_share),
        title: "red twice on a green main",
      },
      { name: "Runs cancelled", value: train.wasted, unit: "", title: "cancelled, or a verdict that nobody used" },
      { name: "Main moved", value: train.lost_swaps, unit: "", title: "pushes that found it moved: planned again" },
      { name: "Frozen", value: Orch.span(train.frozen_s), unit: "", title: "in all" },
    ];
  }

  function marksOfTrain(train, project) {
    const marks = [];
    if (project?.paused) marks.push({ text: "paused", tone: "warn" });
    if (train.frozen) marks.push({ text: "frozen", tone: "run" });
    if (train.red_main) marks.push({ text: "main is red", tone: "bad" });
    if (!train.merge_gate) marks.push({ text: "gate off", tone: "warn" });
    return marks;
  }

  function endedOf(train) {
    return train.ended.map((check) => ({
      key: check.id,
      tone: toneOf(check),
      verdict: check.verdict,
      names: nameOf(check.members),
      title: check.members.join(", "),
      base: Orch.sha(check.base),
      took: Orch.duration(check.seconds),
      since: check.started_at,
      age: Orch.ago(check.started_at),
    }));
  }

  /** Everything that is drawn of one project's train. */
  function draw(train, landing, live) {
    const titleOf = (id) => live.byId(id)?.title || "";
    const order = orderOf(train);
    const checks = telling(train, order);
    const project = live.project(train.project);
    const freeze = project?.freeze;
    return {
      project: train.project,
      marks: marksOfTrain(train, project),
      frozen: train.frozen,
      redMain: train.red_main,
      gateOff: !train.merge_gate,
      members: train.members.length,
      frozenText: freeze
        ? `Frozen ${Orch.ago(freeze.since)} ago by ${freeze.by || Orch.word(freeze.cause)}. ${freeze.detail}`
        : "Frozen.",
      tally: `${train.checks.length} of ${train.slots} test slots · width ${train.width}`,
      landing: landing
        .filter((each) => each.project === train.project)
        .map((each) => ({ ...each, text: nameOf(each.members), shaText: Orch.sha(each.sha) })),
      lanes: lanesOf(checks),
      rows: rowsOf(train, order, checks, titleOf),
      style: { "--lanes": String(checks.length), "--rows": String(order.length + 1) },
      held: train.members
        .filter((member) => member.held)
        .map((member) => ({
          key: member.id,
          id: member.id,
          href: Orch.taskHref(member.id),
          title: titleOf(member.id),
          why: member.held,
          since: member.since,
          age: Orch.ago(member.since),
        })),
      figures: figuresOf(train),
      ended: endedOf(train),
    };
  }

  document.addEventListener("alpine:init", () => {
    window.Alpine.data("train", () => ({
      get live() {
        return window.Alpine.store("live");
      },
      get trains() {
        const merge = this.live.queue?.merge;
        return merge ? merge.queues.map((train) => draw(train, merge.landing, this.live)) : [];
      },
      get waitingForData() {
        return !this.trains.length;
      },
      get emptyText() {
        if (this.live.queueFailed) return "The queue cannot be read now. It is tried again by itself.";
        return this.live.queue ? "No project is configured." : "Reading the queue.";
      },
      get headline() {
        const queues = this.live.queue?.merge?.queues || [];
        const waiting = queues.reduce((sum, train) => sum + train.members.length, 0);
        const running = queues.reduce((sum, train) => sum + train.checks.length, 0);
        return this.live.queue ? `${Orch.plural(waiting, "task")} in line, ${Orch.plural(running, "check")} running` : "";
      },
      async unfreeze(project) {
        const fields = [{ name: "reason", label: "Why it may go on", kind: "text", rows: 2, max: 1000 }];
        const said = await Orch.ask({ title: `Unfreeze ${project}`, fields, yes: "Unfreeze" });
        if (said) await Orch.post("/serial-gate/unfreeze", { project, reason: said.reason });
        this.live.refreshQueue();
      },
    }));
  });
})();
