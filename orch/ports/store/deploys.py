"""The store's tables of deploys and watches."""

from typing import Protocol

from orch.core.ids import DeployId, ProjectName, TaskRow
from orch.core.model import Deploy, Task, Watch


class DeployTables(Protocol):
    """Deploys and watches. A project's one running deploy is its deploy slot."""

    def begin_deploy(self, deploy: Deploy) -> Deploy | None:
        """Insert a running deploy (its *id* is ignored); None, and nothing written, when one of the project is running."""

    def load_deploy(self, deploy: DeployId) -> Deploy | None: ...

    def save_deploy(self, deploy: Deploy) -> bool:
        """Write a deploy's row; False, and nothing written, when it has ended already."""

    def running_deploys(self, project: ProjectName | None = None) -> list[Deploy]: ...

    def last_deployed(self, project: ProjectName) -> Deploy | None:
        """Return the newest deploy that succeeded."""

    def undeployed(self, project: ProjectName) -> list[Task]:
        """Return the tasks at deploy, and those stopped after their landing, that no deploy has brought into production."""

    def list_deploys(self, *, project: ProjectName | None = None, task: TaskRow | None = None, limit: int = 100) -> list[Deploy]:
        """Return deploys, newest first."""

    def save_watch(self, watch: Watch) -> None:
        """Write the watch of one deploy."""

    def load_watch(self, project: ProjectName) -> Watch | None:
        """Return the project's newest watch."""

    def watch_of(self, row: TaskRow) -> Watch | None:
        """Return the newest watch of what the task brought."""
