"""How often intervals of 80 % of forecasts hold what months came to, in organisations that go on in known ways.

    python tests/bench/forecast_coverage.py [teams] [seeds]

Prints, for 26 and 12 weeks of history, the share of months that lay within their interval, how far forecasts were off,
and the upper end for one unit of the forecast, by months ahead. Nothing is timed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.pipelines.insight.forecast_worlds import WORLDS, coverage


def main(teams: int = 40, seeds: int = 5) -> None:
    """Print the table."""
    for weeks in (26, 12):
        print(f"{weeks} weeks of history, {teams * seeds} teams\n")
        print(f"{'':22}{'inside, %':>24}{'':8}{'off, %':>24}{'':4}{'upper end, times':>24}")
        shares = []
        for world in WORLDS:
            found = [coverage(world, teams=teams, weeks=weeks, seed=seed) for seed in range(seeds)]
            inside, off, times = (
                np.mean([getattr(each, name) for each in found], axis=0) for name in ("inside", "off", "times")
            )
            shares.append(inside.mean())
            cells = "".join(f"{share * 100:6.0f}" for share in (*inside, inside.mean(), *off))
            print(f"{world:22}{cells}   {''.join(f'{each:6.1f}' for each in times)}")
        print(f"{'mean':22}{np.mean(shares) * 100:30.1f}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
