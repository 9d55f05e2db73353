"""Review all shapes of `tests/review/shapes`, and count false alarms, misses and seconds.

    python benchmarks/review.py [BEGINNING OF A NAME ...]

"Can't tell" counts where the one who wrote the expectation by hand thought that a fair reviewer can tell.
"""

import asyncio
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "review"))
from shape_list import SHAPES, differences, reviewed_shape

from course_lib.review.running import review_lab


async def main(beginnings: tuple[str, ...]) -> None:
    counts: Counter[str] = Counter()
    seconds: list[float] = []
    async with review_lab() as lab:
        for shape in SHAPES:
            if not shape["file"].startswith(beginnings or ""):
                continue
            began = time.perf_counter()
            found = differences(shape, await reviewed_shape(shape, lab))
            seconds.append(time.perf_counter() - began)
            print(f"{seconds[-1]:5.1f} s  {shape['file']}", flush=True)
            for kind, words in found:
                counts[kind] += 1
                print(f"         {kind}: {words}", flush=True)
    middle, most = statistics.median(seconds), max(seconds)
    print(f"\n{len(seconds)} shapes, servers shared; median {middle:.1f} s, at most {most:.1f} s")
    print(", ".join(f"{kind}: {counts[kind]}" for kind in ("false alarm", "miss", "can't tell", "exit", "reason")))


if __name__ == "__main__":
    asyncio.run(main(tuple(sys.argv[1:])))
