"""The finished application: tasks over HTTP. Its database layer is given to it, so that any can be put to work."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from course_lib.models import Task


class NewTask(SQLModel):
    """What a client sends to make a task."""

    title: str = Field(min_length=1, max_length=200)


class TaskChange(SQLModel):
    """What a client may change."""

    done: bool


def create_app(database: Any = None) -> FastAPI:
    """Make the application on a database layer.

    Args:
        database: a module, or any object, with `get_session`, a dependency that yields SQLModel's AsyncSession, and
            `lifespan`, as `course_lib.database` has them; that one by default. It is imported here and not with this
            module, since it makes its engine from the environment when it is imported.
    Returns:
        The application, for uvicorn. It connects to nothing before it is started.
    Raises:
        TypeError: `get_session` or `lifespan` is missing.
    """
    if database is None:
        from course_lib import database
    missing = [name for name in ("get_session", "lifespan") if not callable(getattr(database, name, None))]
    if missing:
        raise TypeError(
            f"The database layer lacks {' and '.join(missing)}. FastAPI needs `get_session` for its requests and "
            "`lifespan` for start and end; `course_lib/database.py` shows both."
        )
    app = FastAPI(title="Tasks", lifespan=database.lifespan)
    Session = Annotated[AsyncSession, Depends(database.get_session)]

    @app.post("/tasks", status_code=201)
    async def create_task(new: NewTask, session: Session) -> Task:
        task = Task(title=new.title)
        session.add(task)
        await session.commit()
        return task

    @app.get("/tasks")
    async def list_tasks(session: Session, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[Task]:
        return list(await session.exec(select(Task).order_by(col(Task.id)).limit(limit)))

    @app.get("/tasks/{task_id}")
    async def read_task(task_id: int, session: Session) -> Task:
        return await _found(session, task_id)

    @app.patch("/tasks/{task_id}")
    async def change_task(task_id: int, change: TaskChange, session: Session) -> Task:
        task = await _found(session, task_id)
        task.done = change.done
        await session.commit()
        return task

    return app


async def _found(session: AsyncSession, task_id: int) -> Task:
    task = await session.get(Task, task_id)
    if task is None:
        raise HTTPException(404, f"There is no task {task_id}.")
    return task
