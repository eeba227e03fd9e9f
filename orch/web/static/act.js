// Acting: posts with the session's cookie, what was answered as a toast, and the dialog that asks before.
// Rule: texts are set as text, never as markup. The Origin that the daemon checks is sent by the browser itself.
"use strict";
(() => {
  const Orch = window.Orch;
  let next = 1;

  document.addEventListener("alpine:init", () => {
    window.Alpine.store("toasts", {
      list: [],
      drop(id) {
        this.list = this.list.filter((toast) => toast.id !== id);
      },
    });
  });

  /** Show *text*; good ones go by themselves, errors stay longer. *code* is a command to copy. */
  Orch.toast = (kind, text, code = "") => {
    const toasts = window.Alpine.store("toasts");
    const id = next++;
    toasts.list = [...toasts.list.slice(-3), { id, kind, text, code }];
    setTimeout(() => toasts.drop(id), kind === "good" ? 5_000 : 12_000);
  };

  async function answerOf(reply) {
    try {
      return await reply.json();
    } catch {
      return {};
    }
  }

  /** Post *body*, tell what came of it, and return it: {ok, status, text, data}. */
  Orch.post = async (path, body = {}, { quiet = false, method = "POST" } = {}) => {
    let reply;
    try {
      reply = await fetch(path, {
        method,
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify(body),
        credentials: "same-origin",
      });
    } catch {
      const text = "The daemon does not answer. Nothing was done as far as this page knows.";
      Orch.toast("bad", text);
      return { ok: false, status: 0, text, data: {} };
    }
    const data = await answerOf(reply);
    const text = data.text || data.detail || `${reply.status} ${reply.statusText}`;
    if (reply.status === 401 || reply.status === 403) {
      window.Alpine.store("live").readOnly = true;
      Orch.toast("warn", reply.status === 403 ? text : "This browser may not act. Open a new link, made by", "orch link");
    } else if (!reply.ok) {
      Orch.toast(reply.status === 409 ? "warn" : "bad", text);
    } else if (!quiet) {
      Orch.toast(data.result === "nothing" ? "warn" : "good", text);
    }
    return { ok: reply.ok, status: reply.status, text, data };
  };

  // -------------------------------------------------------------------------------------------- asking

  function field(spec) {
    const label = document.createElement("label");
    label.className = "field";
    const name = document.createElement("span");
    name.textContent = spec.label;
    const control = document.createElement(spec.kind === "select" ? "select" : spec.kind === "line" ? "input" : "textarea");
    control.name = spec.name;
    control.required = Boolean(spec.required);
    if (spec.kind === "text") control.rows = spec.rows || 4;
    if (spec.max) control.maxLength = spec.max;
    if (spec.placeholder) control.placeholder = spec.placeholder;
    for (const [value, text] of spec.options || []) control.add(new Option(text, value));
    if (spec.value) control.value = spec.value;
    label.append(name, control);
    return label;
  }

  function fill(dialog, question) {
    const part = (id) => dialog.querySelector(`#${id}`);
    part("ask-title").textContent = question.title;
    part("ask-text").textContent = question.text || "";
    part("ask-text").hidden = !question.text;
    const sha = part("ask-sha");
    sha.hidden = !question.sha;
    sha.querySelector("code").textContent = question.sha ? question.sha.slice(0, 12) : "";
    const link = sha.querySelector("a");
    link.hidden = !question.href;
    if (question.href) link.href = question.href;
    part("ask-fields").replaceChildren(...(question.fields || []).map(field));
    const yes = part("ask-yes");
    yes.textContent = question.yes || "Go on";
    yes.className = `button ${question.danger ? "danger" : "primary"}`;
  }

  /** Whether this browser may act; where not, say what to do. Another tab may have got a session meanwhile. */
  async function mayAct() {
    const live = window.Alpine.store("live");
    if (live.readOnly) await Orch.askSession();
    if (live.readOnly) Orch.toast("warn", "This browser may not act. Open a new link, made by", "orch link");
    return !live.readOnly;
  }

  /** Ask in a dialog; resolves to the fields' values, or null where it was closed. Ctrl+Enter agrees. */
  Orch.ask = async (question) => {
    const dialog = document.getElementById("ask");
    if (dialog.open || !(await mayAct())) return null;
    const form = dialog.querySelector("form");
    fill(dialog, question);
    return new Promise((resolve) => {
      let values = null;
      const agree = () => (values = Object.fromEntries(new FormData(form)));
      const hasten = (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
      };
      form.addEventListener("submit", agree);
      form.addEventListener("keydown", hasten);
      dialog.addEventListener(
        "close",
        () => {
          form.removeEventListener("submit", agree);
          form.removeEventListener("keydown", hasten);
          resolve(values);
        },
        { once: true },
      );
      dialog.showModal();
      (dialog.querySelector("#ask-fields :is(textarea, input, select)") || dialog.querySelector("#ask-yes")).focus();
    });
  };

  document.addEventListener("click", (event) => {
    const dialog = event.target.closest?.("dialog");
    if (!dialog) return;
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
})();
