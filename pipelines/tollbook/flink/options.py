"""How large the Flink cluster of this machine is."""

from __future__ import annotations

from dataclasses import dataclass

from tollbook.errors import MisuseError

DEFAULT_TASK_MANAGERS = 2
DEFAULT_SLOTS = 1
DEFAULT_CHECKPOINT_SECONDS = 2.0
PREFERRED_REST_PORT = 8081


@dataclass(frozen=True, slots=True)
class FlinkOptions:
    """What `tollbook flink up` is told; None means as at the last start, or the default.

    Attributes:
        task_managers: How many task managers there are; 2 by default.
        slots: Slots of each, that is how many tasks of each step it runs at once; 1 by default.
        checkpoint_seconds: How often the state of a job is checkpointed; 2 s by default.
        rest_port: Port of Flink's REST interface and web page, which must be free; by default 8081 or, where that is
            taken, any other.
    """

    task_managers: int | None = None
    slots: int | None = None
    checkpoint_seconds: float | None = None
    rest_port: int | None = None

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("--task-managers", self.task_managers, 1, 64),
            ("--slots", self.slots, 1, 64),
            ("--checkpoint-seconds", self.checkpoint_seconds, 0.1, 3600),
            ("--rest-port", self.rest_port, 1, 65_535),
        ):
            if value is not None and not least <= value <= most:
                raise MisuseError(f"expected {name} between {least} and {most}, got {value}")
