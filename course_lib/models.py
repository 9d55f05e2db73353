"""The model of the finished application, which lessons 11 and 12 serve, store and put under fire."""

from sqlmodel import Field, SQLModel


class Task(SQLModel, table=True):
    """Something to be done."""

    id: int | None = Field(default=None, primary_key=True)
    title: str = Field(max_length=200)
    done: bool = False
