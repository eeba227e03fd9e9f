// What a line of a log says: an agent's JSON events as what was said and done, everything else as it is.
// Rule: pure; every line is hostile, nothing raises, every text is bounded. What is returned is text, never markup.
"use strict";
(() => {
  const BODY_MAX = 12_000;
  const TITLE_MAX = 300;
  const BLOCKS_MAX = 50;
  const SEQUENCE = /\u001b\[[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[ -/]*[0-~]/g;
  const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const cut = (text, max) => (text.length > max ? `${text.slice(0, max)} … (${text.length - max} more)` : text);

  function clean(value, max = BODY_MAX) {
    const text = typeof value === "string" ? value : value === undefined || value === null ? "" : String(value);
    return cut(text.slice(0, 4 * max).replaceAll("\r\n", "\n").replaceAll(SEQUENCE, "").replaceAll(UNSEEN, ""), max);
  }

  function asJson(value) {
    try {
      return JSON.stringify(value);
    } catch {
      return "";
    }
  }

  const prefixed = (sign, text) => (typeof text === "string" && text ? text.split("\n").map((line) => `${sign} ${line}`).join("\n") : "");

  /** What a tool was asked to do, in the words that matter: [title, body]. */
  function asked(name, input) {
    if (!isObject(input)) return ["", ""];
    const path = input.file_path || input.path || input.notebook_path;
    switch (name) {
      case "Bash":
        return [clean(input.description, TITLE_MAX), clean(input.command)];
      case "Edit":
        return [clean(path, TITLE_MAX), clean([prefixed("−", input.old_string), prefixed("+", input.new_string)].filter(Boolean).join("\n"))];
      case "Write":
        return [clean(path, TITLE_MAX), clean(input.content)];
      case "Read":
        return [clean(path, TITLE_MAX), ""];
      case "Glob":
      case "Grep":
        return [clean([input.pattern, path].filter(Boolean).join("  in "), TITLE_MAX), ""];
      default: {
        const rest = asJson(input);
        return [clean(path, TITLE_MAX), rest === "{}" ? "" : clean(rest)];
      }
    }
  }

  /** The text of a result: a string, or blocks of which the texts are taken. */
  function textOf(content) {
    if (typeof content === "string") return content;
    if (!Array.isArray(content)) return content === undefined ? "" : asJson(content);
    return content.slice(0, BLOCKS_MAX).map((block) => (isObject(block) && typeof block.text === "string" ? block.text : `[${isObject(block) ? block.type : "?"}]`)).join("\n");
  }

  function block(part) {
    if (!isObject(part)) return null;
    switch (part.type) {
      case "text":
        return { kind: "said", title: "", body: clean(part.text) };
      case "thinking":
        return part.thinking ? { kind: "thought", title: "", body: clean(part.thinking) } : null;
      case "tool_use": {
        const [title, body] = asked(part.name, part.input);
        return { kind: "tool", name: clean(part.name, 60), title, body };
      }
      case "tool_result":
        return { kind: part.is_error ? "failed" : "result", title: "", body: clean(textOf(part.content)) };
      default:
        return null;
    }
  }

  function blocksOf(event) {
    const content = isObject(event.message) ? event.message.content : null;
    if (typeof content === "string") return [{ kind: "said", title: "", body: clean(content) }];
    return Array.isArray(content) ? content.slice(0, BLOCKS_MAX).map(block).filter((part) => part && (part.body || part.title || part.name)) : [];
  }

  function ended(event) {
    const good = event.subtype === "success" && event.is_error !== true;
    const figures = [
      Number.isFinite(event.num_turns) ? `${event.num_turns} turns` : "",
      Number.isFinite(event.duration_ms) ? `${Math.round(event.duration_ms / 1000)} s` : "",
      Number.isFinite(event.total_cost_usd) ? `$${event.total_cost_usd.toFixed(2)}` : "",
    ];
    const title = [good ? "It is done" : clean(event.subtype, 60).replaceAll("_", " "), ...figures].filter(Boolean).join(" · ");
    return { kind: good ? "end" : "failed", title, body: clean(event.result) };
  }

  function ofEvent(event) {
    switch (event.type) {
      case "assistant":
      case "user":
        return blocksOf(event);
      case "system":
        return event.subtype === "init"
          ? [{ kind: "note", title: ["Session", clean(event.model, 80)].filter(Boolean).join(" · "), body: "" }]
          : [{ kind: "note", title: clean(event.subtype, 80).replaceAll("_", " ") || "system", body: "" }];
      case "result":
        return [ended(event)];
      case "stream_event":
        return [];
      default:
        return [{ kind: "note", title: clean(event.type, 80).replaceAll("_", " "), body: "" }];
    }
  }

  /** Return what *line* says as entries {kind, title, body, name}; kinds: said, thought, tool, result, failed, note, end, plain. */
  function read(line) {
    const text = String(line);
    if (text.startsWith("{")) {
      try {
        const event = JSON.parse(text);
        if (isObject(event) && typeof event.type === "string") return ofEvent(event);
      } catch {
        // no event: shown as it is
      }
    }
    return [{ kind: "plain", title: "", body: clean(text) }];
  }

  globalThis.OrchLog = { read, clean };
})();
