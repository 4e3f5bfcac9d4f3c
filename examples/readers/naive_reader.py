#!/usr/bin/env python3
"""The naive reader: takes a few bytes, works for half a second, answers, and starts over.

It never catches up with a server that pushes faster, its receive buffer fills, and the server closes. This program
shows what that looks like from here: errno 104 or 107, long after the fault.
"""
import argparse
import array
import errno
import fcntl
import socket
import sys
import termios
import time


def unread_bytes(connection):
    waiting = array.array("i", [0])
    fcntl.ioctl(connection, termios.FIONREAD, waiting)
    return waiting[0]


def explain(where, error):
    name = errno.errorcode.get(error.errno, "?")
    print(f"{where} failed: errno {error.errno} ({name}, {error.strerror})", flush=True)


def read_slowly(connection, options):
    """Reads until something goes wrong; returns the bytes read."""
    taken = 0
    while True:
        try:
            data = connection.recv(options.read_bytes)
        except OSError as error:
            explain("recv", error)
            return taken
        if not data:
            print("recv returned nothing: the server closed with a FIN")
            return taken
        taken += len(data)
        print(f"read {len(data)} bytes, {unread_bytes(connection)} more wait; working {options.work} s", flush=True)
        time.sleep(options.work)
        if options.no_reply:
            continue
        try:
            connection.send(b"ok\n")
        except OSError as error:
            explain("sending the reply", error)
            return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="where the server listens")
    parser.add_argument("--read-bytes", type=int, default=13, help="bytes per recv (default 13)")
    parser.add_argument("--work", type=float, default=0.5, help="seconds of work between two reads (default 0.5)")
    parser.add_argument("--no-reply", action="store_true", help="send no reply; the server then closes with a FIN")
    options = parser.parse_args()

    connection = socket.create_connection((options.host, options.port))
    began = time.monotonic()
    taken = read_slowly(connection, options)
    left = unread_bytes(connection)
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        explain("tidying up with shutdown", error)
    print(
        f"The connection was lost after {time.monotonic() - began:.1f} s. {taken} bytes were read and {left} had arrived "
        "but were never looked at.\nThe server closed because its send buffer was full: this reader did not read, so its "
        "window fell to zero."
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
