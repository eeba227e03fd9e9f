"""The English catalogue of the chat: headings of alerts, buttons, the tracker's own lines, answers to presses. Plain."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "why.since_moment": "since {moment}",
    # the tracker
    "chat.human": "👤 waited for people: {duration}",
    "chat.totals": "Σ {tokens} (cached {cached}) · {cost} · runs: {runs}",
    "chat.finish.done": "🏁 Done in {wall}: agents {agents}, yours {human}",
    "chat.finish.cancelled": "🏁 Cancelled after {wall}: agents {agents}, yours {human}",
    "chat.shown": "It is about",
    # headings of sounding messages, by the alert's kind or the first word of it
    "alert.approval": "📋 A plan waits for approval",
    "alert.input": "❓ Questions wait for an answer",
    "alert.confirm-deploy": "🚀 A deploy waits for a confirm",
    "alert.deploy-failed": "🔥 A deploy failed",
    "alert.degraded": "🔥 What was deployed does badly",
    "alert.rolled-back": "↩️ A deploy was rolled back",
    "alert.rollback-failed": "🔥 A rollback failed",
    "alert.parked": "⛔️ A task is parked and asks",
    "alert.budget": "💸 A budget is used up",
    "alert.survivor": "⚠️ A process could not be ended",
    "alert.infrastructure": "⚠️ A task waits for something outside it",
    "alert.freeze": "🧊 A project is frozen",
    "alert.thaw": "🌤 A project is thawed",
    "alert.red": "🔥 The default branch fails its tests",
    "alert.reminder": "⏰ Still waiting for you",
    "alert.account": "⏸ Agents are paused",
    "alert.trouble": "⚠️ The daemon has trouble",
    "alert.other": "⚠️ Something needs a person",
    # buttons
    "button.a": "✅ Approve",
    "button.r": "↩️ Reject",
    "button.c": "🚀 Confirm deploy",
    "button.s": "🛑 Stop",
    "button.u": "▶️ Resume",
    "button.b": "➕ Raise the budget",
    "button.l": "∞ Continue without a limit",
    # answers
    "press.stale": "Nothing was changed: this is about what was shown earlier. Look at the newest message of the task.",
    "press.stranger": "You are not among the people who may decide here; nothing was changed.",
    "press.ask": "{name}, why is {work_item} rejected? Reply to this message: the reason goes to the agent.",
    "press.asked": "Reply to the bot's question with the reason.",
    "press.unknown": "Nothing was changed: this button is of another version or of another chat.",
    "press.later": "Nothing was done, try again in a moment: {detail}",
    "press.no_reason": "The reason is empty; reply to the question again with some words.",
    "press.no_raise": "No budget per task is configured, so there is no amount to raise it by; use orch budget.",
}
