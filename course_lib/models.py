"""The model of the finished application: what lessons 11 and 12 serve, store and migrate."""

from datetime import UTC, datetime

from sqlmodel import Field, SQLModel


def _now() -> datetime:
    return datetime.now(UTC)


class Task(SQLModel, table=True):
    """Something to be done."""

    id: int | None = Field(default=None, primary_key=True)
    title: str = Field(max_length=200)
    done: bool = False
    created_at: datetime = Field(default_factory=_now)
