"""Orch: from a card on a task board to deployed code, through a line of AI coding agents."""

__version__ = "0.1.0"
