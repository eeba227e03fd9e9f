"""The ``Store`` port on SQLite: one implementation of the transaction, and two shells around it.

Owns: the schema, all SQL, group commit, the data directory's lock and the recovery at start.
Rule: SQLite's and aiosqlite's types never leave this package; a value reaches SQL only as a bound parameter.
"""

from orch.adapters.store.inline_store import InlineStore
from orch.adapters.store.lock import hold_data_dir
from orch.adapters.store.recovery import INTERRUPTED, Recovered, recover
from orch.adapters.store.sqlite_store import SqliteStore

__all__ = ["INTERRUPTED", "InlineStore", "Recovered", "SqliteStore", "hold_data_dir", "recover"]
