// The page of one task: its actions, its artefacts, and newer parts in the place of older ones whenever something changed.
// Rule: what may be done is decided for what is shown: an approval names the commit whose artefacts stand on this page.
"use strict";
(() => {
  const Orch = window.Orch;
  const GAP_MS = 700;
  const IDLE_MS = 20_000;
  const QUICK = 3; // so many actions are buttons, the others are in the menu

  const find = (id) => document.getElementById(id);
  const read = (root = document) => JSON.parse(root.getElementById("task-data").textContent);
  let task = read();

  // -------------------------------------------------------------------------------------------- acting

  /** The actions of the task as it is shown now: those that are buttons, and those of the menu. */
  function acts() {
    const all = Orch.actions(task);
    const quick = all.filter((act) => act.quick || act.key === "stop").slice(0, QUICK);
    return { quick, rest: all.filter((act) => !quick.includes(act)) };
  }

  function button(key, text, tone, run) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = `button ${tone === "primary" ? "primary" : ""}`;
    element.dataset.act = key;
    element.textContent = text;
    element.addEventListener("click", run);
    return element;
  }

  /** Make the buttons anew where others are offered; the same ones stay, and with them the keyboard's focus. */
  function showActs() {
    const { quick, rest } = acts();
    const label = (act) => act.quick || act.label.replace("…", "");
    const buttons = quick.map((act) =>
      button(act.key, label(act), act.tone, () => acts().quick.find((each) => each.key === act.key)?.run()));
    const more = button("more", "More", "", () => Orch.openMenu(acts().rest, more));
    more.setAttribute("aria-haspopup", "menu");
    if (rest.length) buttons.push(more);
    const offered = buttons.map((each) => `${each.dataset.act} ${each.textContent}`).join("; ");
    if (find("acts").dataset.offered === offered) return;
    find("acts").dataset.offered = offered;
    find("acts").replaceChildren(...buttons);
  }

  // -------------------------------------------------------------------------------------------- artefacts

  const paper = find("paper");

  function mark() {
    for (const link of document.querySelectorAll("[data-artefact]")) {
      if (link.dataset.artefact === paper.dataset.name) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  function line(name, text) {
    const element = document.createElement(name === "pre" ? "pre" : "p");
    element.className = name === "pre" ? "plain" : name;
    element.textContent = text;
    return element;
  }

  /** The daemon's sanitised HTML is the one markup that is taken as such. */
  function content(told) {
    const parts = [];
    if (told.html) {
      const prose = document.createElement("div");
      prose.className = "prose";
      prose.innerHTML = told.html;
      parts.push(prose);
    } else if (typeof told.text === "string") parts.push(line("pre", told.text));
    else parts.push(line("empty", `It cannot be shown: ${told.problem || told.detail || "unknown"}.`));
    if (told.truncated) parts.push(line("faint", "It is longer: only the beginning is shown."));
    return parts;
  }

  async function openArtefact(link) {
    paper.dataset.name = link.dataset.artefact;
    paper.dataset.blob = link.dataset.blob;
    mark();
    let told;
    try {
      const reply = await fetch(link.getAttribute("href"), { headers: { Accept: "application/json" } });
      told = await reply.json();
    } catch {
      told = { problem: "the daemon does not answer" };
    }
    if (paper.dataset.name === link.dataset.artefact) paper.replaceChildren(...content(told));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-artefact]");
    const log = event.target.closest?.("a[data-log]");
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    if (link) {
      event.preventDefault();
      openArtefact(link);
    }
    if (log) {
      event.preventDefault();
      Orch.log.choose(log.dataset.log, true);
      find("log").scrollIntoView({ block: "start", behavior: "smooth" });
    }
  });

  // -------------------------------------------------------------------------------------------- staying new

  /** Put the parts of *root* that differ into the place of ours; what is open, scrolled and typed elsewhere stays. */
  function renew(root) {
    for (const part of root.querySelectorAll("[data-part]")) {
      const mine = find(part.id);
      if (!mine || mine.outerHTML === part.outerHTML) continue;
      const open = [...mine.querySelectorAll("details")].map((each) => each.open);
      const kept = document.importNode(part, true);
      [...kept.querySelectorAll("details")].forEach((each, place) => (each.open = Boolean(open[place])));
      mine.replaceWith(kept);
    }
    renewPaper(root);
    task = read();
    document.title = `${task.id} ${task.title} · Orch`;
    showActs();
    Orch.log.runs(root.getElementById("log").dataset.run);
    Orch.tick();
  }

  function renewPaper(root) {
    const theirs = root.getElementById("paper");
    const link = [...document.querySelectorAll("[data-artefact]")].find((each) => each.dataset.artefact === paper.dataset.name);
    const untouched = !paper.dataset.blob;
    if (untouched && (theirs.dataset.name !== paper.dataset.name || theirs.innerHTML !== paper.innerHTML)) {
      paper.dataset.name = theirs.dataset.name;
      paper.replaceChildren(...[...theirs.childNodes].map((node) => document.importNode(node, true)));
    } else if (!untouched && link && link.dataset.blob !== paper.dataset.blob) openArtefact(link);
    mark();
  }

  let timer = 0;
  let under = false;
  let last = 0;

  function soon(wait) {
    clearTimeout(timer);
    timer = setTimeout(load, Math.max(wait, last + GAP_MS - Date.now()));
  }

  async function load() {
    if (under) return soon(GAP_MS);
    under = true;
    last = Date.now();
    try {
      const reply = await fetch(`${Orch.taskHref(task.id)}?part=body`, { headers: { Accept: "text/html" } });
      if (reply.ok) renew(new DOMParser().parseFromString(await reply.text(), "text/html"));
    } catch {
      // the connection's own sign says that nobody answers
    } finally {
      under = false;
      if (!Orch.isOver(task)) soon(IDLE_MS);
    }
  }

  document.addEventListener("orch:changed", (event) => {
    if ((event.detail || []).some((each) => each.row === task.row || each.issue === task.issue)) soon(60);
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, dialog[open]")) return;
    const key = { a: ["approve", "confirm", "resume"], x: ["reject"], m: ["more"] }[event.key];
    const wanted = key && [...find("acts").children].find((each) => key.includes(each.dataset.act));
    if (!wanted) return;
    event.preventDefault();
    wanted.click();
  });

  document.addEventListener("alpine:initialized", () => {
    showActs();
    mark();
    Orch.log.listen();
    Orch.log.runs(find("log").dataset.run);
    Orch.tick();
    soon(IDLE_MS);
  });
})();
