// The frame: theme, connection, the shortcuts that work on every page, and getting from page to page.
"use strict";
(() => {
  const Orch = window.Orch;
  const TONES = { live: "good", connecting: "", retrying: "warn", locked: "bad" };
  const GO = { b: "/", t: "/train", w: "/waits", s: "/spend" };

  document.addEventListener("alpine:init", () => {
    window.Alpine.data("shell", () => ({
      themeName: Orch.theme(),
      init() {
        const title = document.title;
        window.Alpine.effect(() => {
          document.title = this.needed ? `(${this.needed}) ${title}` : title;
        });
      },
      get live() {
        return window.Alpine.store("live");
      },
      get needed() {
        return this.live.all().filter(Orch.needsPerson).length;
      },
      get connection() {
        const state = this.live.state;
        const text = { live: "Live", connecting: "Connecting", retrying: "Reconnecting", locked: "Link needed" }[state];
        const titles = {
          live: `Connected, change ${this.live.seq}`,
          locked: "Open a new link to read on: run 'orch link' where the daemon runs",
        };
        return {
          tone: TONES[state],
          text,
          title: titles[state] || "The daemon does not answer; it is tried again by itself. Click to try now.",
        };
      },
      get themeTitle() {
        return `Theme: ${this.themeName}`;
      },
      turnTheme() {
        this.themeName = Orch.nextTheme();
      },
      reconnect() {
        this.live.reconnect();
      },
      showKeys() {
        document.getElementById("keys").showModal();
      },
    }));
  });

  let going = 0; // until when a letter after "g" leads to a page

  function typing(target) {
    return target.closest?.("input, textarea, select, [contenteditable], dialog[open], [popover]:popover-open");
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (typing(event.target)) {
      if (event.key === "Escape" && event.target.matches("input[type=search]")) event.target.blur();
      return;
    }
    if (going > Date.now() && GO[event.key]) {
      location.assign(GO[event.key]);
      return;
    }
    going = 0;
    const acts = {
      "?": () => document.getElementById("keys").showModal(),
      "/": () => document.querySelector("input[type=search]")?.focus(),
      d: () => document.querySelector("[aria-label='Change the theme']").click(),
      g: () => (going = Date.now() + 1500),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
})();
