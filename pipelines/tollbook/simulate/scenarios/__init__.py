"""Published cases of AI spending as traffic: one file each, with free parameters and what the marts must find.

A scenario works out what it expects by its own arithmetic, from the calls that it made and the prices that it made up:
none of the product's code takes part.
"""

from __future__ import annotations
