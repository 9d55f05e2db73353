"""Servers that all reviews of a module share, and a way to review a few lines of source."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from course_lib.review import Report, review
from course_lib.review.running import Lab, review_lab

Reviewed = Callable[..., Awaitable[Report]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    """The servers of a review."""
    async with review_lab() as servers:
        yield servers


@pytest.fixture
def reviewed(lab: Lab, tmp_path: Path) -> Reviewed:
    """Review source text as `database.py`, with further files beside it."""

    async def review_text(text: str, *, seconds: float = 10, budget: int = 20, **others: str) -> Report:
        for name, content in {"database": text, **others}.items():
            path = tmp_path / f"{name}.py"
            path.write_text(content, encoding="utf-8")
        return await review(tmp_path / "database.py", lab=lab, seconds=seconds, budget=budget)

    return review_text
