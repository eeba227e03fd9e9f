"""What one would take instead, and what each needs; none of it is a dependency of the project."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A peer: its script beside this file, what it is called in a row, and the packages that it is run with."""

    script: str
    title: str
    requirements: tuple[str, ...]


WEB = Choice(
    script="acks",
    title="FastAPI + uvicorn without a store",
    requirements=("fastapi>=0.115", "uvicorn[standard]>=0.30"),
)
QUEUES = (
    Choice(
        script="claims_procrastinate",
        title="procrastinate on PostgreSQL",
        requirements=("procrastinate>=3.2,<4", "psycopg[binary,pool]>=3.2,<4", "anyio>=4.16,<5"),
    ),
    Choice(script="claims_huey", title="huey on SQLite", requirements=("huey>=2.5",)),
)
