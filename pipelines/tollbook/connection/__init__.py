"""How every client of Kafka connects: security, and what is said when a connection does not come about."""

from __future__ import annotations
