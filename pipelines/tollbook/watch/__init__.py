"""Following local files of tools: what is new in them goes to Kafka, without content, and once."""

from __future__ import annotations
