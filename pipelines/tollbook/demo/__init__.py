"""The demo: all of Tollbook on this machine, on simulated usage, held against the simulator's own truth.

`run` leads through the steps, `steps` shows them, `home` keeps the demo out of a book that is someone's own, `truth`
compares what is published with what was simulated, `tables` prints it, and `interrupts` makes Ctrl-C leave nothing
running.
"""

from __future__ import annotations
