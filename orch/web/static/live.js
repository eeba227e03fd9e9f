// The one live connection of a page: a snapshot, numbered changes after it, and the store that they end in.
// Rule: a gap, silence or a closed socket means: connect again, and begin with a snapshot. Nothing here acts.
"use strict";
(() => {
  const Orch = window.Orch;
  const SILENCE_MS = 45_000; // the daemon says something at least every 15 s
  const WAIT_MAX_MS = 15_000;
  const QUEUE_GAP_MS = 2_000; // where the queue is what is looked at; elsewhere five times that
  const QUEUE_IDLE_MS = 15_000;

  const begin = JSON.parse(document.getElementById("begin").textContent);
  Orch.page = begin.page;

  const live = {
    connected: false,
    state: "connecting", // connecting, live, retrying, locked
    retryAt: 0,
    seq: 0,
    readOnly: !begin.may_act,
    daemon: begin.version,
    tasks: begin.snapshot.tasks, // changed in place at a change: watch them through all()
    issues: begin.snapshot.issues,
    projects: begin.snapshot.projects,
    totals: begin.snapshot.totals,
    queue: null,
    ready: null,
    queueFailed: false,
    version: 0,
    reconnect: () => connection.now(),
    refreshQueue: () => queue.soon(0),
    /** The tasks as plain data, for whoever goes through all of them: watched as a whole and not each by itself. */
    all() {
      return this.version >= 0 ? window.Alpine.raw(this.tasks) : [];
    },
    byId(id) {
      return this.all().find((task) => task.id === id) || null;
    },
    project(name) {
      return this.projects.find((project) => project.name === name) || null;
    },
  };
  Orch.setClock(begin.snapshot.at);
  document.addEventListener("alpine:init", () => {
    window.Alpine.store("live", live);
    connection.open();
    queue.soon(0);
  });
  /** The store as Alpine sees it: writing to this one is noticed. */
  const store = () => window.Alpine.store("live");

  // -------------------------------------------------------------------------------------------- what came

  function applySnapshot(message) {
    Orch.setClock(message.at);
    Object.assign(store(), {
      tasks: message.tasks,
      issues: message.issues,
      projects: message.projects,
      totals: message.totals,
      seq: message.seq,
      version: store().version + 1,
    });
  }

  function applyChange(message) {
    const tasks = window.Alpine.raw(store().tasks);
    const places = new Map(tasks.map((task, place) => [task.row, place]));
    for (const task of message.tasks) {
      const place = places.get(task.row);
      if (place === undefined) tasks.push(task);
      else tasks[place] = task;
    }
    Object.assign(store(), { seq: message.seq, version: store().version + 1 });
  }

  function receive(message) {
    switch (message.type) {
      case "snapshot":
        applySnapshot(message);
        break;
      case "change":
        if (message.seq !== store().seq + 1) return false;
        applyChange(message);
        break;
      case "heartbeat":
        Orch.setClock(message.at);
        return message.seq === store().seq;
      default:
        return true; // a newer daemon may say more
    }
    document.dispatchEvent(new CustomEvent("orch:changed", { detail: message.tasks }));
    window.Alpine.nextTick(Orch.tick);
    queue.soon(300);
    return true;
  }

  // -------------------------------------------------------------------------------------------- the socket

  const connection = {
    socket: null,
    tries: 0,
    timer: 0,
    watchdog: 0,

    open() {
      clearTimeout(this.timer);
      const scheme = location.protocol === "https:" ? "wss:" : "ws:";
      const socket = new WebSocket(`${scheme}//${location.host}/ws/queue`);
      this.socket = socket;
      this.listen();
      socket.addEventListener("message", (event) => {
        if (socket !== this.socket) return;
        this.listen();
        if (!receive(JSON.parse(event.data))) return this.drop();
        if (!store().connected) this.arrived();
      });
      socket.addEventListener("close", () => socket === this.socket && this.lost());
    },

    arrived() {
      const again = this.tries > 0;
      this.tries = 0;
      Object.assign(store(), { connected: true, state: "live", retryAt: 0 });
      if (again) askSession();
    },

    /** Close what is there, and connect again at once. */
    drop() {
      const socket = this.socket;
      this.socket = null;
      socket?.close();
      this.lost();
    },

    lost() {
      clearTimeout(this.watchdog);
      const wait = Math.min(WAIT_MAX_MS, 400 * 2 ** this.tries) * (0.8 + Math.random() * 0.4);
      this.tries += 1;
      Object.assign(store(), { connected: false, retryAt: Date.now() + wait });
      if (store().state !== "locked") store().state = "retrying";
      if (this.tries === 2) askSession();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.open(), wait);
    },

    listen() {
      clearTimeout(this.watchdog);
      this.watchdog = setTimeout(() => this.drop(), SILENCE_MS);
    },

    now() {
      if (store().connected) return queue.soon(0);
      this.tries = 1;
      clearTimeout(this.timer);
      this.open();
    },
  };

  /** A daemon that started again may know this browser no more: reading goes on where it is free, acting asks for a new link. */
  async function askSession() {
    try {
      const reply = await fetch("/session", { cache: "no-store" });
      if (reply.status === 401) {
        Object.assign(store(), { state: "locked", readOnly: true });
        return;
      }
      const session = await reply.json();
      Object.assign(store(), { readOnly: !session.may_act, daemon: session.version });
      if (store().state === "locked") store().state = "retrying";
    } catch {
      // nobody answers: the socket's next try tells
    }
  }
  Orch.askSession = askSession;

  // -------------------------------------------------------------------------------------------- the queue

  const queue = {
    timer: 0,
    due: 0,
    last: 0,
    took: 0,
    under: false,
    missed: false,

    /** How long to leave the daemon alone after an answer: longer where the answer took it long. */
    get gap() {
      return Math.max(["train", "waits"].includes(Orch.page) ? QUEUE_GAP_MS : 5 * QUEUE_GAP_MS, 8 * this.took);
    },

    /** Read the queue in *wait* ms, but not more often than that; of two wishes the sooner one counts. */
    soon(wait) {
      const due = Math.max(Date.now() + wait, this.last + this.gap);
      if (this.timer && this.due <= due) return;
      clearTimeout(this.timer);
      this.due = due;
      this.timer = setTimeout(() => this.load(), due - Date.now());
    },

    async load() {
      this.timer = 0;
      if (document.hidden) return; // coming back into sight reads it
      if (this.under) {
        this.missed = true;
        return;
      }
      Object.assign(this, { under: true, missed: false, last: Date.now() });
      try {
        const [told, ready] = await Promise.all([fetch("/queue"), fetch("/readyz")]);
        if (!told.ok) throw new Error(String(told.status));
        Object.assign(store(), { queue: await told.json(), ready: await ready.json(), queueFailed: false });
        this.took = Date.now() - this.last;
        window.Alpine.nextTick(Orch.tick);
      } catch {
        store().queueFailed = true;
      } finally {
        this.under = false;
        const testing = Orch.page === "train" && store().queue?.merge?.queues?.some((train) => train.checks.length);
        this.soon(testing || this.missed ? 0 : QUEUE_IDLE_MS);
      }
    },
  };

  window.addEventListener("online", () => connection.now());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    if (!store().connected) connection.now();
    if (store().readOnly) askSession();
    queue.soon(0);
    Orch.tick();
  });
})();
