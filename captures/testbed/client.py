"""What curl and dig cannot do: fixed source ports, held connections, odd sizes.

Run as a program in a namespace, one action a call; prints one JSON line per
socket: protocol, both ends, how it went. Everything is bounded by TIMEOUT.

    python client.py get ADDRESS PORT [--port N] [--count N] [--path P]
    python client.py hold ADDRESS PORT [--seconds S] [--every S]
    python client.py udp ADDRESS PORT [--port N] [--size N]
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import socket
import time

TIMEOUT = 5.0
OUTCOMES = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ECONNRESET: "reset",
}


def family_of(address: str) -> socket.AddressFamily:
    """Say which family an address belongs to."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def report(
    sock: socket.socket, protocol: str, peer: tuple[str, int], outcome: str
) -> None:
    """Print what became of a socket."""
    own = sock.getsockname()
    line = {
        "protocol": protocol,
        "tuple": [own[0], own[1], *peer],
        "outcome": outcome,
        "time": time.time(),
    }
    print(json.dumps(line), flush=True)


def connect(options: argparse.Namespace) -> tuple[socket.socket, str]:
    """Open a TCP connection; return it and how that went."""
    sock = socket.socket(family_of(options.address), socket.SOCK_STREAM)
    sock.settimeout(options.timeout)
    if options.port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((options.source, options.port))
    try:
        sock.connect((options.address, options.to))
    except TimeoutError:
        return sock, "no-answer"
    except OSError as error:
        refused = OUTCOMES.get(error.errno or 0, "error")
        return sock, options.refusal if refused == "refused" else refused
    return sock, "ok"


def get(options: argparse.Namespace) -> None:
    """Fetch a page by HTTP/1.0: the server closes, so the port is free at once."""
    request = f"GET {options.path} HTTP/1.0\r\nHost: {options.address}\r\n\r\n"
    for _ in range(options.count):
        sock, outcome = connect(options)
        with sock:
            report(sock, "tcp", (options.address, options.to), outcome)
            if outcome == "ok":
                sock.sendall(request.encode())
                while sock.recv(65536):
                    pass


def hold(options: argparse.Namespace) -> None:
    """Keep a connection open and send a request over it every so often."""
    sock, outcome = connect(options)
    with sock:
        report(sock, "tcp", (options.address, options.to), outcome)
        end = time.monotonic() + options.seconds
        request = f"GET / HTTP/1.1\r\nHost: {options.address}\r\n\r\n".encode()
        while outcome == "ok" and time.monotonic() < end:
            sock.sendall(request)
            sock.recv(65536)
            time.sleep(options.every)


def udp(options: argparse.Namespace) -> None:
    """Send one datagram and wait for an answer or an ICMP error."""
    with socket.socket(family_of(options.address), socket.SOCK_DGRAM) as sock:
        sock.settimeout(options.timeout)
        if options.port:
            sock.bind((options.source, options.port))
        sock.connect((options.address, options.to))
        sock.send(bytes(i % 251 for i in range(options.size)))
        outcome = "no-answer"
        with contextlib.suppress(TimeoutError):
            try:
                sock.recv(65536)
                outcome = "ok"
            except ConnectionRefusedError:
                outcome = "refused-icmp"
        if outcome == "refused-icmp" and options.refusal != "refused":
            outcome = options.refusal
        report(sock, "udp", (options.address, options.to), outcome)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("get", "hold", "udp"))
    parser.add_argument("address")
    parser.add_argument("to", type=int)
    parser.add_argument("--port", type=int, default=0, help="source port")
    parser.add_argument("--source", default="", help="source address")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--path", default="/")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--every", type=float, default=0.2)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--timeout", type=float, default=TIMEOUT)
    parser.add_argument(
        "--refusal", default="refused", help="what a refusal is called in the report"
    )
    options = parser.parse_args()
    {"get": get, "hold": hold, "udp": udp}[options.action](options)


if __name__ == "__main__":
    main()
