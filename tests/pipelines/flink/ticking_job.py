"""A streaming job of ticks, to be submitted to a Flink cluster: `python ticking_job.py HOME OUT KEYS [OPTION...]`.

Every tick makes an element of each key; a stateful step counts them and writes the count, one line an element, to a
file named by the key. So the lines say what the state was, and when: one state lost is a count that is missing, one
state too old is a count that comes again. It is a program of its own, as the workers cannot import test modules.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.io.flink.flink_streaming_impulse_source import FlinkStreamingImpulseSource
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from tollbook import flink
from tollbook.settings import Settings


class CountTicks(beam.DoFn):  # type: ignore[misc]  # Beam's classes are untyped here
    """Count the elements of a key in its state.

    Input: (key, nothing), unbounded. Output: none; a line `count seconds` in the key's file for each element. A count
    that was written after the last checkpoint is written again by a retry.
    """

    NEXT = ReadModifyWriteStateSpec("next", VarIntCoder())

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def process(self, element: tuple[str, None], following: Any = beam.DoFn.StateParam(NEXT)) -> None:  # noqa: B008
        """Write the key's count and raise it by one."""
        count = following.read() or 0
        with Path(self.folder, element[0]).open("a", encoding="utf-8") as file:
            file.write(f"{count} {time.time():.3f}\n")
        following.write(count + 1)


def main() -> None:
    """Submit the job; it goes on when this program has ended."""
    home, folder, keys, *options = sys.argv[1:]
    cluster = flink.status(Settings(home=Path(home))).cluster
    assert cluster is not None
    Path(folder).mkdir(parents=True, exist_ok=True)
    names = [f"key-{number}" for number in range(int(keys))]

    def spread(_tick: bytes) -> Iterable[tuple[str, None]]:
        return [(name, None) for name in names]

    pipeline = beam.Pipeline(options=PipelineOptions([*cluster.pipeline_options(), "--streaming", *options]))
    ticks = pipeline | "Tick" >> FlinkStreamingImpulseSource().set_interval_ms(100)
    keyed = ticks | "Spread" >> beam.FlatMap(spread).with_output_types(tuple[str, None])
    _ = keyed | "Count" >> beam.ParDo(CountTicks(folder))
    pipeline.run()


if __name__ == "__main__":
    main()
