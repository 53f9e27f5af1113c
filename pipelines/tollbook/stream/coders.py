"""How Arrow batches cross a shuffle. Importing this module registers the coder."""

from __future__ import annotations

import pyarrow as pa
from apache_beam import coders


class RecordBatchCoder(coders.Coder):
    """Codes a RecordBatch as one Arrow IPC stream, schema metadata included.

    Beam pickles RecordBatches by default, and a pickled slice carries its whole parent.
    """

    def encode(self, value: pa.RecordBatch) -> bytes:
        """Return the IPC stream of `value`."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, value.schema) as writer:
            writer.write_batch(value)
        encoded: bytes = sink.getvalue().to_pybytes()
        return encoded

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """Return the batch of an IPC stream."""
        with pa.ipc.open_stream(encoded) as reader:
            return reader.read_next_batch()

    def estimate_size(self, value: pa.RecordBatch) -> int:
        """Return about how large `encode` is, without encoding: Beam asks it of many elements that it never ships."""
        size: int = value.get_total_buffer_size()
        return size

    def is_deterministic(self) -> bool:
        """Equal batches need not have equal bytes, so batches are never keys."""
        return False

    def to_type_hint(self) -> type:
        """Return the type this coder is for."""
        return pa.RecordBatch  # type: ignore[no-any-return]


coders.registry.register_coder(pa.RecordBatch, RecordBatchCoder)
