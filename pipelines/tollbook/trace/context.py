"""What every part of a trace looks things up in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tollbook.closing.adjustments import Adjustments, read_adjustments
from tollbook.closing.closes import Closes, read_closes
from tollbook.rating.periods.calendar import BillingCalendar
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.reference.dated.use import ReferenceBook, read_reference
from tollbook.settings import Settings
from tollbook.trace.published import PublishedBook


@dataclass(frozen=True)
class Tracing:
    """One trace.

    Attributes:
        settings: Where the book lives.
        book: The published file.
        events: How many calls of a line are listed.
    """

    settings: Settings
    book: PublishedBook
    events: int

    def below_lake(self, path: str) -> str:
        """Return the path of a file of the lake below the lake's folder."""
        return Path(os.path.relpath(path, self.settings.lake)).as_posix()

    @cached_property
    def closes(self) -> Closes:
        """The log of closes."""
        return read_closes(self.settings.lake)

    @cached_property
    def adjustments(self) -> Adjustments:
        """The log of disputes and adjustments."""
        return read_adjustments(self.settings.lake)

    @cached_property
    def calendar(self) -> BillingCalendar:
        """The billing calendar in use."""
        return billing_calendar(self.settings)

    @cached_property
    def reference(self) -> ReferenceBook:
        """The dated entries in use; none was ever dropped."""
        return read_reference(self.settings.reference)
