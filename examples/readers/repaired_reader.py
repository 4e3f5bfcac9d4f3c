#!/usr/bin/env python3
"""The repaired reader: drains the server until EAGAIN, within a byte budget per turn, and passes everything on.

Its reading is right. But it writes to its own destination in the same thread and waits for it. When the destination
stalls, so does the reading, and the server closes just as before.
"""
import argparse
import errno
import select
import socket
import sys
import time


class Gap:
    """The longest time between two reads, and what was going on meanwhile."""

    def __init__(self):
        self.last_read = time.monotonic()
        self.longest = 0.0
        self.writing = 0.0

    def read(self, spent_writing):
        now = time.monotonic()
        if now - self.last_read > self.longest:
            self.longest, self.writing = now - self.last_read, spent_writing
        self.last_read = now


def drain(source, options):
    """Reads until EAGAIN or until the budget is used up; returns the bytes, and how the stream ended if it did."""
    data = bytearray()
    while len(data) < options.budget_bytes:
        try:
            part = source.recv(options.read_bytes)
        except BlockingIOError:
            return data, None
        except OSError as error:
            name = errno.errorcode.get(error.errno, "?")
            return data, f"recv failed: errno {error.errno} ({name}, {error.strerror})"
        if not part:
            return data, "recv returned nothing: the server closed with a FIN"
        data += part
    return data, None


def write(destination, data):
    """Waits until the destination took everything; returns the seconds that took, and what went wrong if it did."""
    began = time.monotonic()
    try:
        destination.sendall(data)
        failed = None
    except OSError as error:
        failed = f"writing to the destination failed: errno {error.errno} ({error.strerror})"
    return time.monotonic() - began, failed


def relay(source, destination, options):
    """Passes bytes on until the stream ends; returns the bytes passed on, the longest gap, and how it ended."""
    gap, passed, spent_writing = Gap(), 0, 0.0
    while True:
        select.select([source], [], [])
        data, ended = drain(source, options)
        gap.read(spent_writing)
        spent_writing, failed = write(destination, data)
        if spent_writing >= options.tell_after:
            print(f"the destination held us for {spent_writing:.2f} s; nothing was read meanwhile", flush=True)
        if failed:
            return passed, gap, failed
        passed += len(data)
        if ended:
            return passed, gap, ended


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="where the server listens")
    parser.add_argument("--destination-port", type=int, required=True, help="where everything is written to")
    parser.add_argument("--budget-bytes", type=int, default=1 << 20, help="most bytes per turn (default 1 MiB)")
    parser.add_argument("--read-bytes", type=int, default=256 << 10, help="most bytes per recv (default 256 KiB)")
    parser.add_argument("--tell-after", type=float, default=0.2, help="tell of writes longer than this (0.2 s)")
    options = parser.parse_args()

    destination = socket.create_connection((options.host, options.destination_port))
    source = socket.create_connection((options.host, options.port))
    source.setblocking(False)
    began = time.monotonic()
    passed, gap, ended = relay(source, destination, options)
    print(f"{ended}\nPassed on {passed} bytes in {time.monotonic() - began:.1f} s.")
    print(f"The longest gap between two reads was {gap.longest:.2f} s, {gap.writing:.2f} s of it waiting for the destination.")
    if gap.longest >= options.tell_after:
        print("Draining is not enough: while the destination stalls, nobody reads, and the server closes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
