"""Trace: from any identifier of the book to everything behind it, and from an event to the lines that it is in."""
