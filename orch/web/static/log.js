// The view of a run's log: follows one over its socket, shows the newest lines, searches them.
// Rule: what is kept and what is drawn are both bounded, the oldest goes first; a line's text is set as text, never as markup.
"use strict";
(() => {
  const Orch = window.Orch;
  const LINES_MAX = 4_000;
  const CHARS_MAX = 6_000_000;
  const NODES_MAX = 3_000;
  const FOLD_AT = 14; // an entry of more lines than this is folded
  const NEAR_PX = 48;
  const WAIT_MAX_MS = 10_000;
  const NORMAL = 1000;
  const GONE = { 1006: true, 1001: true, 1013: true };
  const LABELS = { thought: "thinks", result: "→", failed: "error", end: "end", said: "", note: "" };

  const find = (id) => document.getElementById(id);

  const view = {
    run: null,
    socket: null,
    timer: 0,
    tries: 0,
    lines: [],
    chars: 0,
    pending: [],
    framed: false,
    raw: false,
    stuck: true, // to the end
    query: "",
    hits: 0,

    /** Follow run *n* from now on. */
    open(n) {
      if (!n || this.run === n) return;
      this.close();
      this.run = n;
      this.tries = 0;
      this.stuck = true;
      this.connect();
    },

    close() {
      clearTimeout(this.timer);
      const socket = this.socket;
      this.socket = null;
      this.run = null;
      socket?.close();
    },

    connect() {
      const scheme = location.protocol === "https:" ? "wss:" : "ws:";
      const socket = new WebSocket(`${scheme}//${location.host}/ws/runs/${this.run}`);
      this.socket = socket;
      say("", "Connecting");
      socket.addEventListener("message", (event) => socket === this.socket && this.take(JSON.parse(event.data)));
      socket.addEventListener("close", (event) => socket === this.socket && this.lost(event.code));
    },

    lost(code) {
      this.socket = null;
      if (code === NORMAL || !(code in GONE)) return;
      this.tries += 1;
      if (this.tries > 30) return say("bad", "No connection");
      say("warn", "Reconnecting");
      this.timer = setTimeout(() => this.connect(), Math.min(WAIT_MAX_MS, 300 * 2 ** this.tries));
    },

    take(message) {
      switch (message.type) {
        case "start":
          this.tries = 0;
          this.clear();
          say("run", message.run.outcome ? "Ended" : "Live", message.run.outcome ? "" : message.run.started_at);
          break;
        case "begin":
          if (message.skipped) this.add([note(`${size(message.skipped)} before this are not shown`)]);
          break;
        case "gap":
          this.add([note(message.anew ? "the log begins anew" : `${size(message.skipped)} are left out here: this page was too slow`)]);
          break;
        case "lines":
          this.add(message.lines);
          break;
        case "end":
          say(message.outcome === "succeeded" ? "good" : "bad", message.outcome ? Orch.word(message.outcome) : "Ended");
          break;
        default:
          break; // heartbeats, and what a newer daemon may say
      }
    },

    clear() {
      this.lines = [];
      this.pending = [];
      this.chars = 0;
      find("log-lines").replaceChildren();
      this.search();
    },

    add(lines) {
      for (const line of lines) {
        this.lines.push(line);
        this.chars += typeof line === "string" ? line.length : 0;
        this.pending.push(line);
      }
      while (this.lines.length > LINES_MAX || this.chars > CHARS_MAX) {
        const oldest = this.lines.shift();
        this.chars -= typeof oldest === "string" ? oldest.length : 0;
      }
      if (this.pending.length > LINES_MAX) this.pending = this.pending.slice(-LINES_MAX);
      if (this.framed) return;
      this.framed = true;
      setTimeout(() => this.draw(), 60); // a timer, and not a frame: it goes on in a tab that nobody sees
    },

    draw() {
      this.framed = false;
      const box = find("log-lines");
      const made = document.createDocumentFragment();
      for (const line of this.pending) made.append(...this.rows(line));
      this.pending = [];
      box.append(made);
      while (box.childElementCount > NODES_MAX) box.firstElementChild.remove();
      if (this.query) this.search();
      if (this.stuck) box.scrollTop = box.scrollHeight;
      find("log-end").hidden = this.stuck;
    },

    redraw() {
      find("log-lines").replaceChildren();
      this.pending = [...this.lines];
      this.draw();
    },

    rows(line) {
      if (typeof line !== "string") return [row({ kind: "gap", title: line.note, body: "" })];
      if (this.raw) return [row({ kind: "plain", title: "", body: OrchLog.clean(line, 20_000) })];
      return OrchLog.read(line).map(row);
    },

    /** Hide what does not hold the query, and mark what does. */
    search() {
      const wanted = this.query.toLowerCase();
      const ranges = [];
      this.hits = 0;
      for (const element of find("log-lines").children) {
        const holds = !wanted || element.textContent.toLowerCase().includes(wanted);
        element.hidden = !holds;
        if (wanted && holds) {
          this.hits += 1;
          if (ranges.length < 2_000) ranges.push(...marks(element, wanted));
        }
      }
      if (window.CSS?.highlights) CSS.highlights.set("found", new Highlight(...ranges));
      const count = find("log-found");
      count.hidden = !wanted;
      count.textContent = wanted ? Orch.plural(this.hits, "entry", "entries") : "";
    },
  };

  const note = (text) => ({ note: text });
  const size = (bytes) => (bytes < 2_000 ? `${bytes} bytes` : `${Math.round(bytes / 1000).toLocaleString("en-US")} kB`);

  function marks(element, wanted) {
    const ranges = [];
    const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode.data.toLowerCase();
      for (let at = text.indexOf(wanted); at >= 0 && ranges.length < 200; at = text.indexOf(wanted, at + wanted.length)) {
        const range = new Range();
        if (at + wanted.length > texts.currentNode.length) break; // lower case may be longer
        range.setStart(texts.currentNode, at);
        range.setEnd(texts.currentNode, at + wanted.length);
        ranges.push(range);
      }
    }
    return ranges;
  }

  function part(name, text) {
    const element = document.createElement("span");
    element.className = name;
    element.textContent = text;
    return element;
  }

  function row(entry) {
    const element = document.createElement("div");
    element.className = `entry ${entry.kind}`;
    const label = entry.name || LABELS[entry.kind];
    if (label) element.append(part("what", label));
    const text = document.createElement("div");
    text.className = "text";
    if (entry.title) text.append(part("title", entry.title));
    if (entry.body || !entry.title) text.append(...bodyOf(entry));
    element.append(text);
    return element;
  }

  /** A change as its old and new lines, each in its colour. */
  function changed(text) {
    const body = part("body", "");
    body.append(...text.split("\n").map((line) => part(line.startsWith("+") ? "more-of" : "less", `${line}\n`)));
    return body;
  }

  function bodyOf(entry) {
    const count = entry.body.split("\n").length;
    const body = entry.name === "Edit" ? changed(entry.body) : part("body", entry.body);
    if (count <= FOLD_AT || entry.kind === "said" || entry.kind === "end") return [body];
    body.classList.add("folded");
    const more = document.createElement("button");
    more.type = "button";
    more.className = "more";
    more.textContent = `all ${count} lines`;
    more.addEventListener("click", () => {
      const folded = body.classList.toggle("folded");
      more.textContent = folded ? `all ${count} lines` : "fold";
    });
    return [body, more];
  }

  function say(tone, text, since = "") {
    const state = find("log-state");
    const moment = document.createElement("span");
    if (since) moment.dataset.since = since;
    const dot = document.createElement("i");
    dot.className = `dot${since ? " live-dot" : ""}`;
    state.className = `chip ${tone}`;
    state.replaceChildren(dot, text, moment);
    if (since) Orch.tick();
  }

  // -------------------------------------------------------------------------------------------- its controls

  function listen() {
    const box = find("log-lines");
    box.addEventListener("scroll", () => {
      view.stuck = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
      if (view.stuck) find("log-end").hidden = true;
    }, { passive: true });
    find("log-end").addEventListener("click", () => {
      view.stuck = true;
      box.scrollTop = box.scrollHeight;
    });
    find("log-find").addEventListener("input", (event) => {
      view.query = event.target.value.trim().slice(0, 200);
      view.search();
    });
    const toggle = (id, turn) => find(id).addEventListener("click", (event) => {
      const on = event.currentTarget.getAttribute("aria-pressed") !== "true";
      event.currentTarget.setAttribute("aria-pressed", String(on));
      turn(on);
    });
    toggle("log-wrap", (on) => box.classList.toggle("unwrapped", !on));
    toggle("log-raw", (on) => {
      view.raw = on;
      view.redraw();
    });
    find("log-run").addEventListener("change", (event) => choose(event.target.value, true));
  }

  let picked = false; // by the reader: then a newer run does not take its place

  /** Show run *n*. */
  function choose(n, byReader) {
    picked = byReader;
    find("log-run").value = n;
    for (const line of document.querySelectorAll("tr[data-n]")) line.toggleAttribute("data-shown", line.dataset.n === String(n));
    view.open(String(n));
  }

  /** Take over which runs there are; *newest* is what the page would show by itself. */
  function runs(newest) {
    const list = [...document.querySelectorAll("[data-log]")].map((link) => [link.dataset.log, link.dataset.label]);
    const select = find("log-run");
    select.replaceChildren(...list.map(([value, text]) => new Option(text, value)));
    select.hidden = list.length === 0;
    if (!list.length) return empty();
    const known = list.some(([value]) => value === view.run);
    if (!known || (!picked && newest && newest !== view.run)) choose(newest || list[0][0], false);
    else choose(view.run, picked);
  }

  function empty() {
    find("log-state").replaceChildren("Nothing has run yet");
  }

  Orch.log = { choose, runs, listen, view };
})();
