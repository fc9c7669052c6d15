"""Event queues: what happened this tick. Written by one phase, read later in the same tick, cleared in settle."""

from __future__ import annotations

from typing import Any


class EventQueue:
    """At most `capacity` events a tick; what does not fit is counted in `overflow`, never silently lost."""

    def __init__(self, capacity: int = 1024):
        self.capacity = capacity
        self.overflow = 0
        self._events: list[Any] = []

    def push(self, event: Any) -> bool:
        """Queue `event`; False (and counted) when the queue is full."""
        if len(self._events) >= self.capacity:
            self.overflow += 1
            return False
        self._events.append(event)
        return True

    def __iter__(self):
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def clear(self) -> None:
        self._events.clear()
