#!/usr/bin/env python3
"""A destination with moods: reads at a rate, can leave and come back, and checks the numbers of what it gets.

It connects to a port (--port) or waits for somebody who connects (--listen). Every message is expected to begin with
its number in ten digits, as the legacy server writes it. At the end it says what was missing, repeated or out of order.
"""
import argparse
import signal
import socket
import sys
import time

READ_BYTES = 64 << 10
SLICE_SECONDS = 0.02


class Numbers:
    """Follows the numbers at the beginning of the messages, across connections."""

    def __init__(self, delimiter):
        self.delimiter = delimiter
        self.rest = b""
        self.messages = self.bytes = self.missing = self.repeated = self.strange = 0
        self.first = self.last = None

    def feed(self, data):
        self.bytes += len(data)
        *whole, self.rest = (self.rest + data).split(self.delimiter)
        for message in whole:
            self.messages += 1
            head = message[:10]
            if head.isdigit():
                self.follow(int(head))
            else:
                self.strange += 1

    def follow(self, number):
        if self.last is None:
            self.first = number
        elif number > self.last + 1:
            self.missing += number - self.last - 1
        elif number <= self.last:
            self.repeated += 1
            return
        self.last = number

    def cut(self):
        """The connection ended; what is left of a message will not be completed on the next."""
        self.strange += bool(self.rest)
        self.rest = b""

    def report(self):
        print(f"{self.messages} messages, {self.bytes} bytes, numbers {self.first} to {self.last}.")
        print(f"missing {self.missing}, repeated or out of order {self.repeated}, incomplete or strange {self.strange}")


def connect(options, listener):
    if listener:
        return listener.accept()[0]
    while True:
        try:
            return socket.create_connection((options.host, options.port))
        except ConnectionRefusedError:
            time.sleep(0.1)


def read_at_rate(connection, numbers, options, leave_at):
    """Reads until the other side ends (returns False) or until it is time to leave (True)."""
    began, taken = time.monotonic(), 0
    while leave_at is None or time.monotonic() < leave_at:
        if options.rate and taken >= options.rate * (time.monotonic() - began):
            time.sleep(SLICE_SECONDS)
            continue
        try:
            data = connection.recv(READ_BYTES)
        except TimeoutError:
            continue
        if not data:
            return False
        taken += len(data)
        numbers.feed(data)
    return True


def leave(connection, numbers, options):
    """Leaves politely: says so with a FIN and reads what was sent until then. Rudely: just closes."""
    if options.rude:
        return
    connection.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + options.patience
    while time.monotonic() < deadline:
        try:
            data = connection.recv(READ_BYTES)
        except TimeoutError:
            continue
        if not data:
            return
        numbers.feed(data)
    print(f"the other side did not end within {options.patience} s after our FIN; closing anyway")


def visit(connection, numbers, options, leaves):
    """One connection, from its beginning to its end; returns whether to come back."""
    connection.settimeout(SLICE_SECONDS)
    leave_at = time.monotonic() + options.leave_after if leaves else None
    try:
        left = read_at_rate(connection, numbers, options, leave_at)
        if left:
            leave(connection, numbers, options)
            print(f"left after {numbers.messages} messages; back in {options.away} s", flush=True)
            time.sleep(options.away)
        else:
            print("the other side ended the connection", flush=True)
        return left
    except ConnectionError as error:
        print(f"the connection broke: {error}", flush=True)
        return False
    finally:
        numbers.cut()
        connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="connect there; with --listen, listen there (0 = any)")
    parser.add_argument("--listen", action="store_true", help="wait for a connection; prints `listening PORT`")
    parser.add_argument("--rate", type=int, default=0, help="bytes per second; 0 (default) as fast as possible")
    parser.add_argument("--leave-after", type=float, default=0, help="seconds until it leaves; 0 (default) never")
    parser.add_argument("--away", type=float, default=5, help="seconds until it comes back (default 5)")
    parser.add_argument("--times", type=int, default=1, help="how often it leaves (default 1)")
    parser.add_argument("--rude", action="store_true", help="leave without reading what was sent: that part is lost")
    parser.add_argument("--patience", type=float, default=5, help="seconds to wait for the end after our FIN (5)")
    parser.add_argument("--delimiter-hex", default="0a", help="bytes after each message (default 0a)")
    options = parser.parse_args()
    if not options.listen and not options.port:
        parser.error("--port or --listen is needed")

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    listener = None
    if options.listen:
        listener = socket.create_server((options.host, options.port))
        print(f"listening {listener.getsockname()[1]}", flush=True)
    numbers = Numbers(bytes.fromhex(options.delimiter_hex))
    departures = options.times if options.leave_after else 0
    try:
        while visit(connect(options, listener), numbers, options, departures > 0):
            departures -= 1
    except KeyboardInterrupt:
        pass
    numbers.report()
    return 1 if numbers.missing or numbers.repeated or numbers.strange else 0


if __name__ == "__main__":
    sys.exit(main())
