"""Git: the hardened runner, the mirror in which everything lands, and tasks' working copies."""

from orch.adapters.git.mirror import GitMirror
from orch.adapters.git.runner import Git, Identity
from orch.adapters.git.showing import GitBranchReader
from orch.adapters.git.workspace import GitWorkspace

__all__ = ["Git", "GitBranchReader", "GitMirror", "GitWorkspace", "Identity"]
