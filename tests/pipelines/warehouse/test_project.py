"""dbt in this process: what it tells, and to whom."""

from __future__ import annotations

from typing import Any

from dbt_common.events.base_types import EventLevel
from dbt_common.events.event_manager_client import get_event_manager
from dbt_common.events.functions import fire_event
from dbt_common.events.types import Note, SystemCouldNotWrite

from tollbook.warehouse.project import no_debug_events


def test_what_dbt_tells_at_its_debug_level_costs_no_message_and_the_rest_is_heard() -> None:
    """Progress and failures come this way; statements come a thousand times as often, and nobody wants them."""
    heard: list[str] = []

    def hear(message: Any) -> None:
        heard.append(message.info.msg)

    before = get_event_manager()
    with no_debug_events():
        get_event_manager().callbacks.append(hear)
        for level in (EventLevel.DEBUG, EventLevel.INFO, EventLevel.WARN, EventLevel.ERROR):
            fire_event(Note(msg=f"told as {level.value}"), level=level)
        fire_event(SystemCouldNotWrite(path="debug by its kind", reason="", exc=""))

    assert heard == ["told as info", "told as warn", "told as error"]
    assert get_event_manager() is before
