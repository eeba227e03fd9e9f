"""The actors: mailboxes, supervision and the line at work. They import anyio, orch.core, orch.ports and orch.logs only."""
