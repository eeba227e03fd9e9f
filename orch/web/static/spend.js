// What the agents cost, by day: a stacked chart, and the same as a table. The figures are those of GET /spend.
"use strict";
(() => {
  const Orch = window.Orch;
  const KINDS = [
    { key: "project", name: "Project" },
    { key: "model", name: "Model" },
    { key: "stage", name: "Stage" },
  ];
  const SHOWN = 7; // so many parts have a colour of their own; the rest is "other"
  const REFRESH_MS = 30_000;
  const DAY_S = 86_400;
  const DARK = ["#7c7cf0", "#3fb5a0", "#e2a54a", "#5aa7f5", "#dd6f97", "#93b857", "#a88be0", "#6f7480"];
  const LIGHT = ["#5656d6", "#1f9480", "#d08a1d", "#2f7fe0", "#c94f7d", "#6d9433", "#8763cf", "#9a9ea8"];

  const palette = () => (document.documentElement.dataset.theme === "dark" ? DARK : LIGHT);
  const nameOf = (entry, kind) => (kind === "stage" ? Orch.word(entry.stage) : entry[kind]) || "–";

  /** Add up *entries* by *kind*, the dearest first. */
  function group(entries, kind) {
    const sums = new Map();
    for (const entry of entries) {
      const key = nameOf(entry, kind);
      const sum = sums.get(key) || { key, runs: 0, cost_usd: 0, tokens_in: 0, tokens_cached: 0, tokens_out: 0, seconds: 0 };
      for (const figure of Object.keys(sum)) if (figure !== "key") sum[figure] += entry[figure] || 0;
      sums.set(key, sum);
    }
    return [...sums.values()].sort((a, b) => b.cost_usd - a.cost_usd || a.key.localeCompare(b.key));
  }

  const dayOf = (moment) => new Date(moment * 1000).toISOString().slice(0, 10);

  /** The chart's columns: the days as seconds, and for each part its cost by day. */
  function columns(entries, kind, days) {
    const today = Math.floor(Orch.now() / 1000 / DAY_S) * DAY_S;
    const moments = Array.from({ length: days }, (_, at) => today - (days - 1 - at) * DAY_S);
    const place = new Map(moments.map((moment, at) => [dayOf(moment), at]));
    const keys = group(entries, kind).map((sum) => sum.key);
    const named = keys.length > SHOWN + 1 ? [...keys.slice(0, SHOWN), "other"] : keys;
    const parts = named.map((key) => ({ key, costs: Array(days).fill(0) }));
    for (const entry of entries) {
      const at = place.get(entry.day);
      if (at === undefined) continue;
      const found = named.indexOf(nameOf(entry, kind));
      parts[found < 0 ? named.length - 1 : found].costs[at] += entry.cost_usd;
    }
    return { moments, parts };
  }

  /** Each part on top of those before it: what uPlot draws, the highest first so that the lower ones cover it. */
  function stack({ moments, parts }) {
    const sums = Array(moments.length).fill(0);
    const heaps = parts.map((part) => part.costs.map((cost, at) => (sums[at] += cost)));
    return [moments, ...heaps.reverse()];
  }

  function options(parts, box, onDay) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--faint"),
      font: "11.5px Inter, sans-serif",
      ticks: { show: false },
      grid: { stroke: colour("--line"), width: 1 },
    };
    const bars = window.uPlot.paths.bars({ size: [0.68, 42], radius: 0.12 });
    const series = parts.map((part, at) => ({
      label: part.key,
      fill: palette()[at % 8],
      stroke: "transparent",
      width: 0,
      paths: bars,
      points: { show: false },
    }));
    return {
      width: box.clientWidth - 14,
      height: box.clientHeight - 12,
      legend: { show: false },
      padding: [8, 6, 0, 0],
      tzDate: (moment) => window.uPlot.tzDate(new Date(moment * 1000), "Etc/UTC"),
      scales: {
        x: { time: true, range: (_, low, high) => [low - DAY_S / 2, high + DAY_S / 2] },
        y: { range: (_, low, high) => [0, Math.max(high * 1.08, 0.05)] },
      },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 30,
          space: 64,
          values: (_, moments) =>
            moments.map((moment) =>
              new Date(moment * 1000).toLocaleDateString("en", { month: "short", day: "numeric", timeZone: "UTC" }),
            ),
          incrs: [1, 2, 7, 14, 30].map((days) => days * DAY_S),
        },
        {
          ...axis,
          size: 56,
          values: (_, costs) => costs.map((cost) => (costs.every(Number.isInteger) ? `$${cost}` : `$${cost.toFixed(2)}`)),
        },
      ],
      series: [{}, ...series.reverse()],
      hooks: { setCursor: [(plot) => onDay(plot.cursor.idx)] },
    };
  }

  let plot = null; // outside of the component: Alpine must not watch its insides

  const page = {
    kinds: KINDS,
    spans: [7, 30, 90],
    by: "project",
    days: 30,
    entries: [],
    today: {},
    state: "reading",
    hovered: null,

    init() {
      this.load();
      setInterval(() => document.hidden || this.load(), REFRESH_MS);
      document.addEventListener("orch:theme", () => this.draw());
      new ResizeObserver(() => this.draw()).observe(this.$root);
    },
    async load() {
      try {
        const reply = await fetch(`/spend?days=${this.days}`, { headers: { Accept: "application/json" } });
        if (!reply.ok || !reply.headers.get("Content-Type").includes("json")) throw new Error(String(reply.status));
        const told = await reply.json();
        Object.assign(this, { entries: told.days || [], today: told.today || {}, state: "read" });
      } catch {
        if (this.state === "reading") this.state = "failed";
      }
      this.$nextTick(() => this.draw());
    },
    draw() {
      plot?.destroy();
      plot = null;
      const box = this.$refs.chart;
      if (!this.hasData || !box.clientWidth) return;
      const cut = this.cut;
      plot = new window.uPlot(
        options(cut.parts, box, (at) => (this.hovered = at ?? null)),
        stack(cut),
        box,
      );
    },
    splitBy(kind) {
      this.by = kind;
      this.draw();
    },
    reach(days) {
      this.days = days;
      this.load();
    },
    async raise() {
      await Orch.askBudget("/budget", { title: "The budget of the day" }, "10", this.today.day_usd);
      this.load();
    },

    get hasData() {
      return this.entries.length > 0;
    },
    get cut() {
      return columns(this.entries, this.by, this.days);
    },
    get kindName() {
      return KINDS.find((kind) => kind.key === this.by).name;
    },
    get chartTitle() {
      return `By day and ${this.kindName.toLowerCase()}`;
    },
    get legend() {
      const at = this.hovered;
      return this.cut.parts.map((part, place) => ({
        key: part.key,
        style: { background: palette()[place % 8] },
        value: Orch.money(at === null ? part.costs.reduce((sum, cost) => sum + cost, 0) : part.costs[at]),
      }));
    },
    get readout() {
      const { moments, parts } = this.cut;
      if (this.hovered === null || !moments[this.hovered]) return `last ${this.days} days`;
      return `${dayOf(moments[this.hovered])} · ${Orch.money(parts.reduce((sum, part) => sum + part.costs[this.hovered], 0))}`;
    },
    get table() {
      const rows = group(this.entries, this.by);
      const all = rows.reduce((sum, row) => sum + row.cost_usd, 0);
      return rows.map((row, at) => ({
        key: row.key,
        style: { background: palette()[Math.min(at, rows.length > SHOWN + 1 ? SHOWN : 7)] },
        runs: row.runs,
        time: Orch.span(row.seconds),
        tin: Orch.tokens(row.tokens_in),
        cached: Orch.tokens(row.tokens_cached),
        tout: Orch.tokens(row.tokens_out),
        cost: Orch.money(row.cost_usd),
        share: all ? Orch.percent(row.cost_usd / all) : "–",
      }));
    },
    get figures() {
      const sum = (figure) => this.entries.reduce((total, entry) => total + (entry[figure] || 0), 0);
      const cost = sum("cost_usd");
      const tokensIn = sum("tokens_in");
      return [
        {
          name: "Today",
          value: Orch.money(this.today.spent_usd ?? 0),
          unit: this.today.day_usd ? `of ${Orch.money(this.today.day_usd)}` : "",
          title: "since midnight UTC",
        },
        { name: `Last ${this.days} days`, value: Orch.money(cost), unit: "", title: "" },
        { name: "A day, on average", value: Orch.money(cost / this.days), unit: "", title: "" },
        { name: "Runs", value: sum("runs"), unit: "", title: "" },
        { name: "Agents' time", value: Orch.span(sum("seconds")), unit: "", title: "" },
        {
          name: "Tokens in",
          value: Orch.tokens(tokensIn),
          unit: tokensIn ? `${Orch.percent(sum("tokens_cached") / tokensIn)} cached` : "",
          title: "input + cache read + cache creation",
        },
        { name: "Tokens out", value: Orch.tokens(sum("tokens_out")), unit: "", title: "" },
      ];
    },
    get emptyTitle() {
      return { reading: "Reading", failed: "The figures cannot be read now", read: "Nothing was spent yet" }[this.state];
    },
    get emptyText() {
      return this.state === "read"
        ? "As soon as an agent has run, its cost and tokens stand here, day by day."
        : "It is tried again by itself.";
    },
    get budgetShare() {
      return this.today.day_usd ? Math.min(100, Math.round((100 * this.today.spent_usd) / this.today.day_usd)) : 0;
    },
    get budgetTone() {
      return this.budgetShare >= 100 ? "bad" : this.budgetShare >= 80 ? "warn" : "acc";
    },
    get budgetStyle() {
      return { width: `${this.budgetShare}%` };
    },
    get budgetText() {
      return `${Orch.money(this.today.spent_usd)} of ${Orch.money(this.today.day_usd)}`;
    },
  };

  document.addEventListener("alpine:init", () => {
    window.Alpine.data("spend", () => Object.defineProperties({}, Object.getOwnPropertyDescriptors(page)));
  });
})();
