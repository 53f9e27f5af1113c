"""Senders: put records of any supported form on their Kafka topic, and count what the broker acknowledged."""

from __future__ import annotations
