"""``orch watch`` and ``orch log``: the line, live, in a terminal."""

from orch.cli.watch.command import register_watch

__all__ = ["register_watch"]
