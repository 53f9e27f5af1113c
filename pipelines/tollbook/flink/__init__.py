"""A real Apache Flink on this machine, without containers, in `TOLLBOOK_HOME/flink`.

A job manager, task managers, a ZooKeeper by which a killed job manager finds its jobs again, Beam's job server, and a
pool of Python workers.
"""

from __future__ import annotations

from tollbook.flink.cluster import FlinkCluster, FlinkStatus
from tollbook.flink.lifecycle import down, status, up
from tollbook.flink.options import FlinkOptions

__all__ = ["FlinkCluster", "FlinkOptions", "FlinkStatus", "down", "status", "up"]
