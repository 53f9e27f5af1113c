"""Finding out what an identifier names, and tracing it."""

from __future__ import annotations

import re
from typing import Final

from tollbook.errors import MisuseError
from tollbook.settings import Settings
from tollbook.trace.charges import adjustment_node, charge_node, origin_node, statement_node
from tollbook.trace.context import Tracing
from tollbook.trace.events import event_node, place_node, task_node
from tollbook.trace.node import Node
from tollbook.trace.published import published_book

EVENTS_LISTED: Final = 5
KINDS: Final = """\
  a statement line   24 hexadecimal digits, `statement_line_id` of `tollbook export statements`
  a charge line      32 hexadecimal digits, `charge_id` of finance.fct_charges, corrections too
  an origin charge   32 hexadecimal digits, `charge_id` of finance.fct_charge_origins
  a dispute or an adjustment   dispute/NUMBER or adjustment/NUMBER, as `tollbook dispute list` shows them
  a task             task_id of engineering.fct_tasks
  an event           SOURCE/EVENT_ID
  a Kafka record     TOPIC/PARTITION/OFFSET, or with /ITEM for one of several calls in it"""
_STATEMENT_LINE = re.compile(r"[0-9a-f]{24}")
_CHARGE = re.compile(r"[0-9a-f]{32}")
_ADJUSTMENT = re.compile(r"(?:dispute|adjustment)/([0-9]{1,9})")
_PLACE = re.compile(r"([^/]+)/([0-9]{1,9})/([0-9]{1,18})(?:/([0-9]{1,9}))?")


def trace(settings: Settings, told: str, *, events: int = EVENTS_LISTED) -> Node:
    """Return what an identifier names and everything that it follows from, or that an event is in.

    Args:
        settings: Where the book lives.
        told: The identifier.
        events: How many calls of a line are listed; all are counted.

    Raises:
        MisuseError: Nothing published has it.
        NothingPublishedError: There is no published file yet.
        WarehouseStateError: Single calls are asked for, and the last build's models are not there.
    """
    if events < 0:
        raise MisuseError(f"expected a number of events of 0 or more, got {events}")
    name = told.strip()
    with published_book(settings) as book:
        node = _found(Tracing(settings, book, events), name)
    if node is None:
        raise MisuseError(
            f"expected an identifier of what is published, found nothing under {told!r}. It can be\n{KINDS}"
        )
    return node


def _found(tracing: Tracing, name: str) -> Node | None:
    """Return what a name is of, by its form; a task may be named in any form."""
    node = None
    if _STATEMENT_LINE.fullmatch(name):
        node = statement_node(tracing, name)
    elif _CHARGE.fullmatch(name):
        node = charge_node(tracing, name) or origin_node(tracing, name)
    elif (adjustment := _ADJUSTMENT.fullmatch(name)) is not None:
        node = adjustment_node(tracing, int(adjustment[1]))
    elif (place := _PLACE.fullmatch(name)) is not None:
        item = None if place[4] is None else int(place[4])
        node = place_node(tracing, place[1], int(place[2]), int(place[3]), item)
    node = node or task_node(tracing, name)
    if node is None and "/" in name:
        source, _, event_id = name.partition("/")
        node = event_node(tracing, source, event_id)
    return node
