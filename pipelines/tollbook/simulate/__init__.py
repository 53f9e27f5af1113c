"""The simulator: one organisation's traffic from a seed, and the exact truth of it.

The truth is worth something only because it is worked out apart from the product: nothing here imports the product's
decoding, rating, stream or marts, and a test walks the imports.
"""

from __future__ import annotations
