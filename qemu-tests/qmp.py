"""QEMU's control channel: one command at a time, events kept in order.

Source: QEMU docs/interop/qmp-spec.rst.
"""

import json
import threading
import time


class QmpError(Exception):
    """QEMU refused a command."""


class Qmp:
    """Speaks QMP on a connected socket. Nothing is polled: a reader thread wakes who waits."""

    def __init__(self, connection):
        self._connection = connection
        self._changed = threading.Condition()
        self._answers = []
        self._events = []
        self._closed = False
        threading.Thread(target=self._read, daemon=True).start()
        self.command("qmp_capabilities")

    def _read(self):
        with self._connection.makefile("rb") as lines:
            try:
                for line in lines:
                    message = json.loads(line)
                    with self._changed:
                        if "event" in message:
                            self._events.append(message)
                        elif "return" in message or "error" in message:
                            self._answers.append(message)
                        self._changed.notify_all()
            except (OSError, ValueError):
                pass
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def command(self, name, timeout=30, **arguments):
        """Run one command and return its result."""
        request = {"execute": name, "arguments": arguments}
        with self._changed:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
            if not self._changed.wait_for(lambda: self._answers or self._closed, timeout):
                raise QmpError(f"QMP {name}: no answer within {timeout} s")
            if not self._answers:
                raise QmpError(f"QMP {name}: QEMU has ended")
            answer = self._answers.pop(0)
        if "error" in answer:
            raise QmpError(f"QMP {name}: {answer['error']['desc']}")
        return answer["return"]

    def events(self):
        """How many events there have been; a position for wait_event."""
        with self._changed:
            return len(self._events)

    def wait_event(self, name, timeout=60, since=0):
        """Wait for event `name` (RESET, SHUTDOWN, WATCHDOG, …) and return its data."""

        def found():
            return next((e for e in self._events[since:] if e["event"] == name), None)

        deadline = time.monotonic() + timeout
        with self._changed:
            self._changed.wait_for(
                lambda: found() or self._closed, max(0, deadline - time.monotonic())
            )
            event = found()
        if not event:
            names = " ".join(e["event"] for e in self._events[since:]) or "none"
            raise QmpError(f"no QMP event {name} within {timeout} s (events: {names})")
        return event.get("data", {})

    def close(self):
        self._connection.close()
