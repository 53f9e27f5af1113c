"""What is asked of Flink's REST interface, and what is said when it does not answer."""

from __future__ import annotations

import socket

import pytest

from tollbook.errors import FlinkError
from tollbook.flink import FlinkCluster
from tollbook.flink.rest import FlinkRest


def test_a_cluster_that_is_not_there_is_told_with_what_to_do() -> None:
    """The commonest mistake is a forgotten `flink up`."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # held, so that no other program listens there meanwhile
        port = silent.getsockname()[1]
        with pytest.raises(FlinkError, match=f"at http://127.0.0.1:{port}.*tollbook flink up"):
            FlinkRest(f"http://127.0.0.1:{port}").overview()


def test_a_job_that_is_not_there_is_told_by_flinks_own_words(flink_cluster: FlinkCluster) -> None:
    """A job's id is easily that of yesterday's."""
    with pytest.raises(FlinkError, match=r"got 404: \S*NotFoundException: Job 0{32} not found$"):
        FlinkRest(flink_cluster.rest_url).newest_checkpoint("0" * 32)
