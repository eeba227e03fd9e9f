// What a person may do to a task or card as it stands now, and the menu that offers it.
// Rule: this only offers; whether it may be done is decided by the daemon, whose sentence is shown when it says no.
"use strict";
(() => {
  const Orch = window.Orch;
  const LINE = ["analysis", "architecture", "development", "review", "testing", "deploy-staging", "deploy"];
  Orch.LINE = LINE;
  Orch.isOver = (task) => task.stage === "done" || task.stage === "cancelled";
  Orch.isLocal = (project) => window.Alpine.store("live").project(project)?.board === "local";

  /** Whether only a person can move it on. */
  Orch.needsPerson = (task) =>
    !Orch.isOver(task) && (Boolean(task.parked) || ["approval", "input", "confirm", "merge"].includes(task.awaiting));

  const path = (task, act) => `/tasks/${encodeURIComponent(task.id)}/${act}`;
  const move = (issue, status) => Orch.post(`/board/issues/${encodeURIComponent(issue)}/move`, { status });
  const about = (task, rest) => ({ title: `${rest.verb} ${task.id}`, text: task.title, ...rest });

  async function approve(task) {
    const agreed = await Orch.ask(
      about(task, { verb: "Approve", sha: task.shown, href: Orch.taskHref(task.id), yes: "Approve plan" }),
    );
    return agreed && Orch.post(path(task, "approve"), { shown: task.shown });
  }

  async function confirmDeploy(task) {
    const question = about(task, { verb: "Deploy", sha: task.shown, href: Orch.taskHref(task.id), yes: "Confirm deploy" });
    return (await Orch.ask(question)) && Orch.post(path(task, "confirm-deploy"), { shown: task.shown });
  }

  async function reject(task) {
    const deploy = task.stage === "deploy";
    const reason = {
      name: "reason",
      label: deploy ? "Why not" : "What should change",
      kind: "text",
      required: !deploy,
      max: 20_000,
    };
    const verb = deploy ? "Decline the deploy of" : "Reject the plan of";
    const said = await Orch.ask(
      about(task, { verb, sha: task.shown, fields: [reason], yes: deploy ? "Decline" : "Reject", danger: true }),
    );
    return said && Orch.post(path(task, "reject"), { shown: task.shown, reason: said.reason });
  }

  async function stop(task) {
    const text = `${task.title}\n\nIts processes end, its work is archived, its branch and working copy are removed.`;
    const agreed = await Orch.ask(about(task, { verb: "Stop", text, yes: "Stop it", danger: true }));
    return agreed && Orch.post(path(task, "stop"));
  }

  async function sendBack(task, preset) {
    const stages = LINE.slice(0, LINE.indexOf(task.stage) + 1).filter((stage) => stage !== "deploy");
    const fields = [
      {
        name: "stage",
        label: "To",
        kind: "select",
        options: stages.map((stage) => [stage, Orch.word(stage)]),
        value: preset || task.stage,
      },
      { name: "reason", label: "What should be mended", kind: "text", required: true, max: 20_000 },
    ];
    const said = await Orch.ask(about(task, { verb: "Send back", fields, yes: "Send back" }));
    return said && Orch.post(path(task, "send-back"), said);
  }

  async function revert(task) {
    const text = `${task.title}\n\nA task of its own takes back what this one brought.`;
    const agreed = await Orch.ask(about(task, { verb: "Revert", text, yes: "Revert", danger: true }));
    return agreed && Orch.post(path(task, "revert"));
  }

  /** Ask how far a budget is raised, or whether it is lifted, and post that to *path*. */
  Orch.askBudget = async (path, question, usd, limit) => {
    const fields = [
      {
        name: "how",
        label: "How it goes on",
        kind: "select",
        options: [
          ["raise", "Raise the limit"],
          ["lift", "Without a limit"],
        ],
      },
      { name: "usd", label: "Raise it by (USD)", kind: "line", value: usd },
    ];
    const said = await Orch.ask({ ...question, fields, yes: "Go on" });
    const shown = typeof limit === "number" ? { shown_usd: limit } : {};
    return (
      said && Orch.post(path, { ...shown, ...(said.how === "lift" ? { lift: true } : { raise_usd: Number(said.usd) || 0 }) })
    );
  };

  /** Every act that is possible for *task* now: {key, label, tone, column, run}; *column* is where a drag ends that means it. */
  Orch.actions = (task) => {
    const acts = [];
    const add = (key, label, run, more = {}) => acts.push({ key, label, run, tone: "", column: "", ...more });
    const local = Orch.isLocal(task.project);
    if (Orch.isOver(task)) {
      if (task.landed) add("revert", "Revert…", () => revert(task));
      if (local)
        add("adopt", "Start the line again", () => Orch.post(`/tasks/${encodeURIComponent(task.issue)}/adopt`), {
          column: "queued",
          hint: "Start again",
        });
      return acts;
    }
    if (task.stopping) return acts;
    if (!task.parked && task.awaiting === "approval") {
      add("approve", "Approve…", () => approve(task), {
        tone: "primary",
        column: "architecture",
        hint: "Approve",
        quick: "Approve",
      });
      add("reject", "Reject…", () => reject(task), { column: "analysis", hint: "Reject", quick: "Reject" });
    }
    if (!task.parked && task.awaiting === "confirm") {
      add("confirm", "Confirm deploy…", () => confirmDeploy(task), { tone: "primary", quick: "Deploy" });
      add("reject", "Decline the deploy…", () => reject(task), { quick: "Decline" });
    }
    if (local && !task.parked && task.stage === "analysis" && task.awaiting === "input")
      add("answered", "Questions are answered: analyse again", () => move(task.issue, "to_analyse"), {
        tone: "primary",
        column: "analysis",
        hint: "Analyse again",
        quick: "Analyse again",
      });
    if (task.parked) add("resume", "Resume", () => Orch.post(path(task, "resume")), { tone: "primary", quick: "Resume" });
    if (task.parked?.reason === "budget")
      add(
        "budget",
        "Raise the budget…",
        () => Orch.askBudget(path(task, "budget"), about(task, { verb: "The budget of" }), "5", task.budget?.task_usd),
        { quick: "Raise" },
      );
    if (!task.exempt) add("fix", "Make it a fix: first in line, past freezes", () => Orch.post(path(task, "fix")));
    if (LINE.indexOf(task.stage) >= 0 && !task.landed) add("send-back", "Send back…", (stage) => sendBack(task, stage));
    add("stop", "Stop…", () => stop(task), { tone: "danger", column: "stop" });
    return acts;
  };

  /** The same for a card of the local board that has no task. */
  Orch.cardActions = (issue) => {
    const acts = [
      {
        key: "start",
        label: "Start: move to To Analyse",
        tone: "primary",
        column: "queued",
        hint: "Start",
        quick: "",
        run: () => move(issue.id, "to_analyse"),
      },
    ];
    if (issue.status !== "backlog")
      acts.push({ key: "back", label: "Move to Backlog", tone: "", column: "", run: () => move(issue.id, "backlog") });
    acts.push({
      key: "archive",
      label: "Archive",
      tone: "danger",
      column: "",
      run: () => Orch.post(`/board/issues/${encodeURIComponent(issue.id)}/archive`, { archived: true }),
    });
    return acts;
  };

  /** Return what dropping *task* onto *column* would do, or null. */
  Orch.dropAct = (task, column) => {
    const acts = Orch.actions(task);
    const direct = acts.find((act) => act.column === column);
    if (direct) return direct;
    const back = acts.find((act) => act.key === "send-back");
    const stage = { analysis: "analysis", staging: "deploy-staging" }[column] || column;
    const earlier = LINE.includes(stage) && LINE.indexOf(stage) < LINE.indexOf(task.stage);
    return back && earlier
      ? { ...back, label: `Send back to ${Orch.word(stage)}`, hint: "Send back", run: () => back.run(stage) }
      : null;
  };

  // -------------------------------------------------------------------------------------------- the menu

  function item(act, menu) {
    const button = document.createElement("button");
    button.type = "button";
    button.role = "menuitem";
    button.className = `item ${act.tone}`;
    button.textContent = act.label;
    button.addEventListener("click", () => {
      menu.hidePopover();
      act.run();
    });
    return button;
  }

  /** Open the actions *acts* beside *anchor*, with the keyboard's focus on the first. */
  Orch.openMenu = (acts, anchor, links = []) => {
    const menu = document.getElementById("menu");
    const places = links.map(([text, href]) => {
      const link = document.createElement("a");
      link.className = "item";
      link.role = "menuitem";
      link.textContent = text;
      link.href = href;
      return link;
    });
    menu.replaceChildren(...places, ...acts.map((act) => item(act, menu)));
    if (!menu.children.length) return;
    menu.showPopover();
    const box = anchor.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.right - menu.offsetWidth), innerWidth - menu.offsetWidth - 8);
    const below = box.bottom + 4 + menu.offsetHeight < innerHeight;
    menu.style.left = `${left}px`;
    menu.style.top = `${below ? box.bottom + 4 : Math.max(8, box.top - menu.offsetHeight - 4)}px`;
    menu.onkeydown = (event) => {
      const items = [...menu.children];
      const at = items.indexOf(document.activeElement);
      const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      items[(at + step + items.length) % items.length].focus();
    };
    menu.ontoggle = (event) =>
      event.newState === "closed" && anchor.isConnected && document.activeElement === document.body && anchor.focus();
    menu.firstElementChild.focus();
  };
})();
