// What a person does on the board: dragging cards, the keyboard, the menu of a card, adding one. Parts of the board's component.
"use strict";
(() => {
  const Orch = window.Orch;

  const dragging = {
    dragged: null,
    target: "",
    stopColumn: { key: "stop" },

    actFor(column) {
      const card = this.dragged;
      if (!card) return null;
      return card.task
        ? Orch.dropAct(card.task, column.key)
        : Orch.cardActions(card.issue).find((act) => act.column === column.key) || null;
    },
    drag(event, card) {
      this.dragged = window.Alpine.raw(card);
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", card.id);
    },
    endDrag() {
      this.dragged = null;
      this.target = "";
    },
    over(event, column) {
      if (!this.actFor(column)) return;
      event.preventDefault();
      this.target = column.key;
    },
    leave(event, column) {
      if (this.target === column.key && !event.currentTarget.contains(event.relatedTarget)) this.target = "";
    },
    drop(event, column) {
      event.preventDefault();
      const act = this.actFor(column);
      this.endDrag();
      if (act) act.run();
    },
    dropHint(column) {
      const act = this.dragged && this.actFor(column);
      return act ? act.hint : "";
    },
    get stopClass() {
      return [this.dragged && this.actFor(this.stopColumn) ? "on" : "", this.target === "stop" ? "hit" : ""].join(" ");
    },
  };

  const keyboard = {
    cards() {
      return [...this.$root.querySelectorAll(".card")];
    },
    move(event) {
      const card = event.target.closest(".card");
      if (!card || (event.target.closest("button") && event.key === "Enter")) return;
      const acts = {
        Enter: () => this.open(this.find(card)),
        m: () => this.menuOf(this.find(card), card.querySelector(".more")),
        a: () => this.run(card, ["approve", "confirm", "resume", "start"]),
        x: () => this.run(card, ["reject"]),
      };
      if (event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
      event.preventDefault();
      acts[event.key]();
    },
    /** A card that moved to another column is drawn anew there: the focus goes with it. */
    keepFocus() {
      const key = document.activeElement?.closest?.(".card")?.dataset.card;
      if (!key) return;
      this.$nextTick(() => {
        if (!document.activeElement?.closest(".card"))
          this.cards()
            .find((card) => card.dataset.card === key)
            ?.focus();
      });
    },
    find(element) {
      const key = element.dataset.card;
      for (const column of this.columns) for (const card of column.cards) if (card.key === key) return card;
      return null;
    },
    run(element, keys) {
      const card = this.find(element);
      this.actsOf(card)
        .find((act) => keys.includes(act.key))
        ?.run();
    },
    /** Move the focus by *step* within the column, or by *across* to the next column that has cards. */
    step(step, across) {
      const at = document.activeElement?.closest?.(".card");
      const all = this.cards();
      if (!at) return all[0]?.focus();
      const inside = [...at.parentElement.querySelectorAll(".card")];
      if (!across) return (inside[inside.indexOf(at) + step] || at).focus();
      const columns = [...this.$root.querySelectorAll(".column")].filter((column) => column.querySelector(".card"));
      const column = columns[columns.indexOf(at.closest(".column")) + across];
      const cards = [...(column?.querySelectorAll(".card") || [])];
      (cards[Math.min(inside.indexOf(at), cards.length - 1)] || at).focus();
    },
  };

  const acting = {
    actsOf(card) {
      return card.task ? Orch.actions(card.task) : Orch.cardActions(card.issue);
    },
    menu(event, card) {
      this.menuOf(card, event.currentTarget.querySelector(".more") || event.currentTarget);
    },
    menuOf(card, anchor) {
      Orch.openMenu(this.actsOf(card), anchor, card.task ? [["Open", card.href]] : []);
    },
    open(card) {
      if (card?.task) location.assign(card.href);
      else if (card) this.showIssue(card);
    },
    follow(event, card) {
      if (card.task) return;
      event.preventDefault();
      this.showIssue(card);
    },
    /** A card without a task has no page: what it says, and the way into the line. */
    async showIssue(card) {
      const reply = await fetch(card.href, { headers: { Accept: "application/json" } });
      const issue = reply.ok ? await reply.json() : { text: "", comments: [] };
      const remarks = issue.comments.map((comment) => `${comment.by}: ${comment.text}`);
      const text = [card.title, issue.text, ...remarks].filter(Boolean).join("\n\n");
      if (await Orch.ask({ title: card.id, text, yes: "Start: move to To Analyse" })) Orch.cardActions(card.issue)[0].run();
    },
    get mayAdd() {
      return this.live.projects.some((project) => project.board === "local");
    },
    async addCard() {
      const local = this.live.projects.filter((project) => project.board === "local").map((project) => project.name);
      const fields = [
        { name: "title", label: "Title", kind: "line", required: true, max: 255 },
        { name: "body", label: "What is wanted, and why", kind: "text", rows: 6, max: 100_000 },
        {
          name: "status",
          label: "Put it into",
          kind: "select",
          options: [
            ["", "Backlog"],
            ["to_analyse", "To Analyse: start at once"],
          ],
        },
      ];
      if (local.length > 1)
        fields.unshift({
          name: "project",
          label: "Project",
          kind: "select",
          options: local.map((name) => [name, name]),
          value: this.project,
        });
      const said = await Orch.ask({ title: "New card", fields, yes: "Add card" });
      if (said) await Orch.post("/board/issues", { project: local[0], ...said });
    },
  };

  Orch.boardActs = [dragging, keyboard, acting];
})();
