"""Checks the example event_source with the http.client of Python's standard library.

    python event_source_check.py --server PATH

One line per check, `ok - name` or `not ok - name: why`; the last line is `N passed, M failed`, and tells the exit
code.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse

PATIENCE = 15
TICKS = 3
ACCEPT = {"Accept": "text/event-stream"}

parser = argparse.ArgumentParser()
parser.add_argument("--server", required=True)
options = parser.parse_args()


def ask(address: str, headers: dict[str, str], method: str = "GET", version: int = 11) -> HTTPResponse:
    connection = HTTPConnection(address, timeout=PATIENCE)
    connection._http_vsn = version
    connection._http_vsn_str = f"HTTP/{version // 10}.{version % 10}"
    connection.request(method, "/", headers=headers)
    return connection.getresponse()


def tick(number: int) -> list[str]:
    return ["event: tick", f"id: {number}", "data: tick", f"data: {number}"]


def blocks(response: HTTPResponse, count: int | None = None) -> list[list[str]]:
    """The blocks between empty lines: so many, or all to the end."""
    found: list[list[str]] = [[]]
    while count is None or len(found) <= count:
        line = response.readline()
        if not line:
            break
        if line == b"\n":
            found.append([])
        else:
            found[-1].append(line.decode().removesuffix("\n"))
    return found[:-1]


def events_come_as_they_are_sent(address: str) -> None:
    response = ask(address, ACCEPT)
    assert response.status == 200, response.status
    assert response.getheader("Content-Type") == "text/event-stream"
    assert response.getheader("Transfer-Encoding") == "chunked"
    assert blocks(response, 3) == [["retry: 500"], tick(1), tick(2)]
    response.close()


def it_goes_on_behind_the_last_event_to_a_clean_end(address: str) -> None:
    response = ask(address, {**ACCEPT, "Last-Event-ID": "41"})
    # http.client raises IncompleteRead when the last chunk is missing.
    assert blocks(response) == [["retry: 500"], tick(42), tick(43), tick(44)]


def http_1_0_is_served_until_the_connection_ends(address: str) -> None:
    response = ask(address, ACCEPT, version=10)
    assert response.getheader("Transfer-Encoding") is None
    assert blocks(response) == [["retry: 500"], tick(1), tick(2), tick(3)]


def an_id_that_makes_no_sense_begins_anew(address: str) -> None:
    for last in ["x", "-1", "9" * 400, "ä"]:
        response = ask(address, {**ACCEPT, "Last-Event-ID": last.encode()})  # type: ignore[dict-item]
        assert blocks(response, 2)[1] == tick(1), last
        response.close()


def other_requests_are_refused_or_get_the_page(address: str) -> None:
    assert b"<!doctype html>" in ask(address, {"Accept": "*/*"}).read()
    assert ask(address, {**ACCEPT, "Origin": "http://evil.example"}).status == 403
    assert ask(address, {**ACCEPT, "Content-Length": "3"}).status == 400


def those_who_leave_at_any_time_harm_nobody(address: str) -> None:
    host, port = address.split(":")
    request = f"GET / HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n".encode()
    for length in range(0, len(request) + 1, 3):
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(request[:length])
    events_come_as_they_are_sent(address)


CHECKS: list[Callable[[str], None]] = [
    events_come_as_they_are_sent,
    it_goes_on_behind_the_last_event_to_a_clean_end,
    http_1_0_is_served_until_the_connection_ends,
    an_id_that_makes_no_sense_begins_anew,
    other_requests_are_refused_or_get_the_page,
    those_who_leave_at_any_time_harm_nobody,
]

failed = 0
with subprocess.Popen([options.server, "127.0.0.1:0", str(TICKS)], stdout=subprocess.PIPE, text=True) as server:
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip().removeprefix("listening on http://").rstrip("/")
        for check in CHECKS:
            name = check.__name__.replace("_", " ")
            try:
                check(address)
                print(f"ok - {name}")
            except Exception as error:  # noqa: BLE001 (any of them is a failed check)
                failed += 1
                print(f"not ok - {name}: {error!r}")
    finally:
        server.kill()
print(f"{len(CHECKS) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
