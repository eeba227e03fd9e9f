// Numbers, times and names as people read them; and the clocks that tick.
"use strict";
(() => {
  const Orch = window.Orch;
  let offset = 0; // how far the daemon's clock is ahead of this machine's, in milliseconds

  /** Elapsed time: 42s, 4:32, 1h 05m, 3d 4h. */
  Orch.duration = (seconds) => {
    if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s}s`;
    if (s < 3600) return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
    if (s < 86400) return `${Math.floor(s / 3600)}h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}m`;
    return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
  };

  /** The same without seconds once a minute has passed, for what need not tick. */
  Orch.span = (seconds) => {
    if (seconds === null || seconds === undefined) return "–";
    return seconds >= 60 && seconds < 3600 ? `${Math.floor(seconds / 60)}m` : Orch.duration(seconds);
  };

  Orch.money = (usd) => {
    if (usd === null || usd === undefined) return "–";
    if (usd > 0 && usd < 0.01) return "<$0.01";
    return usd >= 1000 ? `$${Math.round(usd).toLocaleString("en-US")}` : `$${usd.toFixed(2)}`;
  };

  Orch.tokens = (count) => {
    if (!count) return "0";
    if (count < 1000) return String(count);
    if (count < 1e6) return `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)}k`;
    return `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)}M`;
  };

  Orch.percent = (share) => (share === null || share === undefined ? "–" : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`);
  Orch.sha = (sha) => (sha ? sha.slice(0, 9) : "–");
  Orch.plural = (count, one, many) => `${count} ${count === 1 ? one : many || one + "s"}`;
  Orch.setClock = (iso) => {
    const at = Date.parse(iso);
    if (!Number.isNaN(at)) offset = at - Date.now();
  };
  Orch.now = () => Date.now() + offset;
  Orch.since = (iso) => (iso ? Math.max(0, (Orch.now() - Date.parse(iso)) / 1000) : null);
  Orch.until = (iso) => (iso ? Math.max(0, (Date.parse(iso) - Orch.now()) / 1000) : null);
  Orch.ago = (iso) => (iso ? Orch.span(Orch.since(iso)) : "–");

  const clock = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  Orch.moment = (iso) => (iso ? clock.format(new Date(iso)) : "–");

  const words = {
    analysis: "Analysis",
    architecture: "Architecture",
    development: "Development",
    review: "Review",
    testing: "Testing",
    "deploy-staging": "Staging & landing",
    deploy: "Deploy",
    done: "Done",
    cancelled: "Cancelled",
    analyst: "Analyst",
    architect: "Architect",
    developer: "Developer",
    reviewer: "Reviewer",
    tester: "Tester",
    deployer: "Deployer",
  };
  /** A key of ours as a word: "deploy-staging" is "Staging & landing", "no-ci-reported" is "No ci reported". */
  Orch.word = (key) => {
    if (!key) return "";
    const text = String(key).replaceAll(/[-_]/g, " ");
    return words[key] || text.charAt(0).toUpperCase() + text.slice(1);
  };

  Orch.stageWord = (stage) => (stage === "deploy-staging" ? "Landing" : Orch.word(stage)); // where there is little room

  /** A why sentence without its "since 2026-05-04 12:00 UTC (5m)": its age is shown beside it, and ticks. */
  Orch.undated = (text) => text.replaceAll(/,? (since|с) \d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC( \([^)]{1,20}\))?/g, "");

  /** "claude-sonnet-4-5-20250929" is "sonnet-4.5"; a run without a model is named after its agent. */
  Orch.shortModel = (run) =>
    (run.model || run.agent || "")
      .replace(/^claude-/, "")
      .replace(/-\d{8}$/, "")
      .replace(/-(\d+)-(\d+)$/, "-$1.$2");

  Orch.taskHref = (id) => `/tasks/${encodeURIComponent(id)}`;

  /** The same colour for the same name, as a hue. */
  Orch.hue = (name) => {
    let sum = 7;
    for (const letter of String(name)) sum = (sum * 31 + letter.codePointAt(0)) % 3600;
    return (sum * 137.508) % 360;
  };

  // Every element with data-since (or data-until) shows the time that passed since (or is left until) that moment.
  Orch.tick = () => {
    for (const element of document.querySelectorAll("[data-since]")) {
      const text = element.dataset.since ? Orch.duration(Orch.since(element.dataset.since)) : "";
      if (element.textContent !== text) element.textContent = text;
    }
    for (const element of document.querySelectorAll("[data-until]")) {
      const text = element.dataset.until ? Orch.duration(Orch.until(element.dataset.until)) : "";
      if (element.textContent !== text) element.textContent = text;
    }
    for (const element of document.querySelectorAll("[data-ago]")) {
      const text = element.dataset.ago ? Orch.ago(element.dataset.ago) : "";
      if (element.textContent !== text) element.textContent = text;
    }
  };
  setInterval(Orch.tick, 1000);

  document.addEventListener("alpine:init", () => {
    window.Alpine.magic("f", () => Orch); // templates: $f.money(task.cost_usd)
  });
})();
