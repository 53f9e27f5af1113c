"""Interrupts are remembered, and do not get in the way of tidying up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from tollbook.demo.interrupts import noted_interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_that_a_library_swallows_is_remembered(number: signal.Signals) -> None:
    """A failed run is what dbt makes of it, a sender a short file; the next step must not begin."""
    with noted_interrupts() as interrupts:
        interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_an_interrupt_while_tidying_up_is_ignored() -> None:
    """People press Ctrl-C twice; the broker must be stopped all the same."""
    with noted_interrupts() as interrupts:
        interrupts.tidying = True
        os.kill(os.getpid(), signal.SIGINT)
        assert not interrupts.seen


def test_signals_and_hooks_are_put_back() -> None:
    """Whoever called has handlers of their own."""
    before = signal.getsignal(signal.SIGTERM), threading.excepthook, sys.unraisablehook
    with noted_interrupts(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    assert (signal.getsignal(signal.SIGTERM), threading.excepthook, sys.unraisablehook) == before


def test_leaving_does_not_wait_for_threads() -> None:
    """Beam's workers would go on reading from a broker that is gone."""
    program = (
        "import threading, time; from tollbook.demo.interrupts import leave_at_once; "
        "threading.Thread(target=time.sleep, args=(3_600,)).start(); print('out'); leave_at_once()"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (130, "out\n", "")
