"""Events that keep coming, whatever the engine does: so many a second, each by a call of its own."""

import concurrent.futures
import threading
import time


class Handed:
    def __init__(self, n, started, answer):
        self.n, self.started, self.answer = n, started, answer

    @property
    def id(self):
        return self.answer.json["id"] if self.answer.status == 202 else None


class Feeder:
    """
    with Feeder(site, per_second=20, data=lambda n: {...}) as feeder: ...

    Hands event n = 0, 1, 2 ... over at its time, also when earlier calls have not been answered. At the end of the block no more
    are begun, and all calls are answered. `handed` is what came of each.
    """

    def __init__(self, site, per_second, data, type="booking_added", at_once=200, may_break=False):
        self.site, self.gap, self.data, self.type = site, 1 / per_second, data, type
        self.handed, self.trouble = [], []
        self.may_break = may_break  # calls may end without an answer: the engine is killed meanwhile
        self.ending = threading.Event()
        self.pool = concurrent.futures.ThreadPoolExecutor(at_once)
        self.thread = threading.Thread(target=self._feed, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        self.pool.shutdown(wait=True)
        assert self.may_break or not self.trouble, self.trouble

    def _feed(self):
        n, at = 0, time.monotonic()
        while not self.ending.wait(max(0.0, at - time.monotonic())):
            self.pool.submit(self._hand_over, n)
            n, at = n + 1, at + self.gap

    def _hand_over(self, n):
        started = time.monotonic()
        try:
            self.handed.append(Handed(n, started, self.site.hand_over(self.type, self.data(n))))
        except Exception as trouble:  # told at the end of the block: a thread's own would be lost
            self.trouble.append(trouble)

    @property
    def accepted(self):
        """The ids of what was answered with 202."""
        return [handed.id for handed in list(self.handed) if handed.id]

    @property
    def refused(self):
        return [handed.answer for handed in list(self.handed) if handed.answer.status != 202]
