"""The tests of a bad day: those that take minutes run only when they are asked for, by ``-m slow_day``."""

from collections.abc import Iterator

import pytest
from kernels import Place, place


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", "slow_day: takes minutes; run with `-m slow_day`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long ones out, unless the command line chooses by markers itself."""
    if not config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("slow_day")]
        items[:] = [item for item in items if not item.get_closest_marker("slow_day")]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def here() -> Iterator[Place]:
    """Where the kernels of one test put their files."""
    with place() as found:
        yield found
