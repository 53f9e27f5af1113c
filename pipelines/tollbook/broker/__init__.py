"""The Kafka of the embedded default: a real Apache Kafka (KRaft) on loopback, in `TOLLBOOK_HOME/broker`."""

from __future__ import annotations

from tollbook.broker.lifecycle import Broker, BrokerStatus

__all__ = ["Broker", "BrokerStatus"]
