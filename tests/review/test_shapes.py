"""Right shapes, since a false alarm is the worst failure; `python benchmarks/review.py` reviews all, for minutes."""

from typing import Any

import pytest
from shape_list import FOLDER, SHAPES, differences, reviewed_shape

from course_lib.review.running import Lab

RIGHT = [shape for shape in SHAPES if shape["exit"] == 0]
AWAITED_NOTHING = [shape for shape in SHAPES if shape["file"].startswith("109_")]
SAMPLE = [*RIGHT[::-2][:18], *AWAITED_NOTHING]  # about 50 s of one core; the newest first


def test_all_shapes_have_expectations() -> None:
    assert len(SHAPES) >= 30
    assert all((FOLDER / shape["file"]).exists() for shape in SHAPES)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("shape", SAMPLE, ids=[shape["file"] for shape in SAMPLE])
async def test_shapes_get_what_was_expected_by_hand(shape: dict[str, Any], lab: Lab) -> None:
    report = await reviewed_shape(shape, lab)
    assert differences(shape, report) == [], report.as_text()
