"""Waiting for a condition, never for a time."""

import time


class NotInTime(AssertionError):
    pass


def wait_for(condition, what, within=20.0, every=0.01):
    """Calls `condition` until it returns something true, and returns that. `what` names it when time runs out."""
    until = time.monotonic() + within
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > until:
            raise NotInTime(f"waited {within:g} s for: {what}")
        time.sleep(every)


def never_during(condition, what, span):
    """Looks for `span` seconds that `condition` stays false: for what must not happen. Keep the span short."""
    until = time.monotonic() + span
    while time.monotonic() < until:
        assert not condition(), what
        time.sleep(0.02)
