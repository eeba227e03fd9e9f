"""Adapters: what implements the ports against git, SQLite, processes and the services."""
