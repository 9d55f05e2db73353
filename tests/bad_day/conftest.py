"""Where the kernels of the bad days work."""

from collections.abc import Iterator

import pytest
from kernels import Place, place


@pytest.fixture
def here() -> Iterator[Place]:
    """Where the kernels of one test put their files."""
    with place() as found:
        yield found
