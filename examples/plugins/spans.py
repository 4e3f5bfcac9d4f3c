#!/usr/bin/env python3
"""Runs a command with itself as the OpenTelemetry collector, and prints the spans that came: children below their parents.

    python3 spans.py cargo run -- run pipeline.toml

For looking at one small run. OTLP over HTTP is protobuf; what is needed of it to read a span fits below.
"""

import http.server
import os
import subprocess
import sys
import threading

BODIES = []


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        BODIES.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def fields(data):
    """The (number, value) pairs of a protobuf message: numbers, or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            yield tag >> 3, varint()
            continue
        length = {1: 8, 2: None, 5: 4}[kind]
        length = varint() if length is None else length
        yield tag >> 3, data[at : at + length]
        at += length


def all_of(data, number):
    return [value for key, value in fields(data) if key == number]


def text(value):
    (kind, content) = next(iter(fields(value)), (0, b""))
    return content.decode() if kind == 1 else str(content)


def spans():
    for body in BODIES:
        for resource in all_of(body, 1):
            for scope in all_of(resource, 2):
                for span in all_of(scope, 2):
                    one = dict(fields(span))
                    pairs = [dict(fields(pair)) for pair in all_of(span, 9)]
                    own = {pair[1].decode(): text(pair.get(2, b"")) for pair in pairs}
                    yield one.get(4, b""), one[2], int.from_bytes(one[7], "little"), one[5].decode(), own


def show(parent, every, depth):
    for _, span, _, name, own in sorted((each for each in every if each[0] == parent), key=lambda each: each[2]):
        # What the framework says of every span is left out here, so that a plugin's own words can be seen.
        words = [f"{key}={value}" for key, value in own.items() if not key.startswith(("messaging.", "aqueduct.", "code.", "thread.", "busy", "idle", "target"))]
        print("  " * depth + " ".join([name, *words]))
        show(span, every, depth + 1)


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    code = subprocess.call(sys.argv[1:], env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": address})
    every = list(spans())
    known = {each[1] for each in every}
    print(f"\n{len(every)} spans:")
    for root in sorted({each[0] for each in every if each[0] not in known}):
        show(root, every, 1)
    return code


sys.exit(main())
