// A task, or a card without one, as the board draws it. A model is made once for each state of a task: what did not change is not drawn again.
"use strict";
(() => {
  const Orch = window.Orch;
  const models = new WeakMap();

  Orch.COLUMNS = [
    { key: "backlog", title: "Backlog", hint: "Cards that are not in the line" },
    { key: "queued", title: "Waiting to start", hint: "Accepted; an analyst will take it up" },
    { key: "analysis", title: "Analysis", hint: "An analyst writes requirements and acceptance criteria" },
    { key: "plan", title: "Your decision", hint: "The plan waits for you, or a question does" },
    { key: "architecture", title: "Architecture", hint: "An architect records the decisions" },
    { key: "development", title: "Development", hint: "A developer writes the code; CI must be green" },
    { key: "review", title: "Review", hint: "A reviewer reads it" },
    { key: "testing", title: "Testing", hint: "A tester tries it" },
    { key: "staging", title: "Landing", hint: "Staging, then the merge train" },
    { key: "deploy", title: "Deploy", hint: "Landed; deployed when it is confirmed" },
    { key: "done", title: "Done", hint: "Delivered, or stopped" },
  ];

  Orch.columnOf = (task) => {
    if (Orch.isOver(task)) return "done";
    if (task.stage === "deploy-staging") return "staging";
    if (task.stage !== "analysis") return task.stage;
    if (task.awaiting === "approval" || task.awaiting === "input") return "plan";
    return !task.running && !task.runs && !task.parked ? "queued" : "analysis";
  };

  function toneOf(task) {
    if (task.stage === "cancelled") return "off";
    if (task.status === "blocked") return "bad";
    if (task.stage === "done") return "good";
    if (Orch.needsPerson(task)) return "warn";
    return task.running ? "run" : "";
  }

  function markOf(task) {
    if (task.stopping) return ["stopping", "bad"];
    if (task.parked) return [Orch.word(task.parked.reason).toLowerCase(), "bad"];
    if (task.status === "monitoring") return ["watched", "run"];
    if (task.status === "blocked") return ["degraded", "bad"];
    if (task.stage === "cancelled") return ["stopped", ""];
    if (task.awaiting === "input") return ["questions", "warn"];
    return ["", ""];
  }

  /** The sentence without what the card says already: who works on it, and the command that its buttons stand for. */
  function waitsOf(task) {
    if (Orch.isOver(task)) return task.status === "blocked" ? task.waiting : "";
    if (task.running && !task.parked) return "";
    if (task.parked) return task.parked.evidence || task.waiting;
    const text = Orch.undated(task.waiting || "");
    return Orch.needsPerson(task) ? text.split(". ")[0] : text; // what would move it on stands on its buttons
  }

  function metaOf(task) {
    const parts = [];
    if (task.runs) parts.push(Orch.plural(task.runs, "run"), Orch.money(task.cost_usd));
    if (task.pr) parts.push(`#${task.pr}`);
    return parts.join(" · ");
  }

  function taskCard(task) {
    const [mark, markTone] = markOf(task);
    const run = task.running;
    const at = task.finished_at || task.updated_at;
    const role = run ? Orch.word(run.role || run.kind) : "";
    return {
      key: `t${task.row}`,
      task,
      id: task.id,
      title: task.title,
      project: task.project,
      href: Orch.taskHref(task.id),
      fix: task.exempt,
      tones: toneOf(task),
      mark,
      markTone,
      marked: Boolean(mark || task.exempt),
      waits: waitsOf(task),
      why: task.waiting || "",
      running: Boolean(run),
      role,
      since: run ? run.started_at : "",
      elapsed: run ? Orch.duration(Orch.since(run.started_at)) : "",
      model: run ? Orch.shortModel(run) : "",
      quick: Orch.actions(task).filter((act) => act.quick),
      meta: metaOf(task),
      at,
      atText: Orch.moment(at),
      age: Orch.ago(at),
      movable: Orch.isOver(task) ? "false" : "true",
      label: `${task.id}, ${task.title}. ${run ? `${role} at work` : task.waiting || Orch.word(task.stage)}`,
      text: `${task.id} ${task.title} ${task.project} ${task.stage} ${task.status} ${task.branch || ""}`.toLowerCase(),
    };
  }

  function issueCard(issue) {
    return {
      key: `i${issue.id}`,
      issue,
      id: issue.id,
      title: issue.title,
      project: issue.project,
      fix: false,
      href: `/board/issues/${encodeURIComponent(issue.id)}`,
      tones: "",
      mark: issue.status === "backlog" ? "" : Orch.word(issue.status).toLowerCase(),
      markTone: "",
      marked: issue.status !== "backlog",
      waits: "",
      why: "",
      running: false,
      role: "",
      since: "",
      elapsed: "",
      model: "",
      quick: issue.status === "to_analyse" ? [] : Orch.cardActions(issue).filter((act) => act.quick),
      meta: "",
      at: issue.updated_at,
      atText: Orch.moment(issue.updated_at),
      age: Orch.ago(issue.updated_at),
      movable: "true",
      label: `${issue.id}, ${issue.title}. Not in the line`,
      text: `${issue.id} ${issue.title} ${issue.project} ${issue.status}`.toLowerCase(),
    };
  }

  function once(value, make) {
    const raw = window.Alpine.raw(value);
    if (!models.has(raw)) models.set(raw, make(raw));
    return models.get(raw);
  }
  Orch.taskCard = (task) => once(task, taskCard);
  Orch.issueCard = (issue) => once(issue, issueCard);
})();
