"""What the checks stand on: the server under test as a child process, and a bench that opens clients on it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from client import CallFailed, Client, Closed
from raw import BINARY, TEXT, RawSocket, frame
from wse_codecs import FAULT, HI, WELCOME, Codec

REFUSED = (1000, "wse.not-authorized")
VIOLATION = (1000, "wse.protocol-error")
EVICTED = (1000, "wse.clients-concurrency")

# A stack trace, a source path, or a panic's text: nothing of the sort may reach a peer.
LEAK = re.compile(r"\bstack\b|backtrace|panicked|\.rs\b|\.py\b|/src/|/(?:home|root)/|Traceback", re.IGNORECASE)


class Server:
    """The server under test."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url

    @classmethod
    async def start(cls, path: str, *flags: str) -> Server:
        process = await asyncio.create_subprocess_exec(path, *flags, stdout=asyncio.subprocess.PIPE)
        try:
            line = (await asyncio.wait_for(process.stdout.readline(), 5)).decode()
            if not line.startswith("listening on ws://"):
                raise RuntimeError(f"server said {line!r} instead of where it listens")
        except BaseException:
            if process.returncode is None:
                process.kill()
            raise
        return cls(process, line.removeprefix("listening on ").strip())

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await asyncio.wait_for(self.process.wait(), 2)


class Bench:
    """One running server, and the clients that one check opens on it."""

    users = 0

    def __init__(self, server: Server, protocol: str, codec: Codec) -> None:
        self.server, self.protocol, self.codec = server, protocol, codec
        self.observer: Client
        self._opened: list[Client | RawSocket] = []

    def user(self) -> str:
        """A user id no other check uses."""
        Bench.users += 1
        return f"python-user-{Bench.users}"

    async def stranger(self, **options: Any) -> Client:
        """Opens without greeting."""
        client = await Client.open(self.server.url, self.codec, **options)
        self._opened.append(client)
        return client

    async def client(self, cid: str | None = None, meta: dict[str, Any] | None = None, identity: Any = "valid-secret",
                     solve: Callable[[Any], Any] | None = None, **options: Any) -> Client:  # fmt: skip
        """Opens and greets as `cid`; `meta` adds to the greeting's."""
        client = await self.stranger(**options)
        client.cid = cid or self.user()
        await client.greet(identity, {"user_id": client.cid, **(meta or {})}, solve)
        return client

    async def raw(self, offer: list[str] | None = None, path: str = "/") -> RawSocket:
        """Upgrades by hand."""
        raw = await RawSocket.upgrade(self.server.url, [self.codec.name] if offer is None else offer, path)
        self._opened.append(raw)
        return raw

    async def raw_client(self, cid: str) -> RawSocket:
        """Upgrades and greets by hand."""
        raw = await self.raw()
        raw.write(self.frame_of(HI, {"identity": "valid-secret", "meta": {"user_id": cid}}))
        got = await raw.next()
        assert got and self.codec.unpack(got[1])[0] == WELCOME, got
        return raw

    def frame_of(self, kind: str, payload: Any = None, stamp: str | None = None, flags: int = 0) -> bytes:
        packed = self.codec.pack(kind, payload, stamp, flags)
        return frame(BINARY, packed) if isinstance(packed, bytes) else frame(TEXT, packed.encode())

    async def events(self, cid: str | None = None) -> list[dict[str, Any]]:
        events = await self.observer.call("events", {"since": 0})
        return [event for event in events if cid is None or event["cid"] == cid]

    async def event(self, **members: Any) -> dict[str, Any]:
        """Waits for an event with these members."""

        async def look() -> dict[str, Any]:
            while True:
                for event in await self.events():
                    if all(event.get(name) == value for name, value in members.items()):
                        return event
                await asyncio.sleep(0.01)

        try:
            return await asyncio.wait_for(look(), 3)
        except TimeoutError:
            raise AssertionError(f"no event {members}") from None

    async def story(self, cid: str) -> list[str]:
        """Waits until the user is gone, and returns the names of all its events."""
        await self.event(event="left", cid=cid)
        return [event["event"] for event in await self.events(cid)]

    async def nobody(self, cid: str) -> None:
        """Nobody joined under this name."""
        events = await self.events(cid)
        assert events == [], f"must not have joined: {events}"
        assert all(user["cid"] != cid for user in await self.observer.call("clients")), "must not be in the list"

    async def served(self) -> None:
        """The server runs, and a connection that did nothing wrong is served."""
        assert self.server.process.returncode is None, "the server has ended"
        same(await self.observer.call("add", {"a": 2, "b": 3}), 5)

    def tidy(self) -> None:
        """After each check: nothing said by the server may carry a trace; then everything is closed."""
        opened, self._opened = self._opened, []
        for each in opened:
            each.vanish()
        for client in opened:
            for message in getattr(client, "received", []):
                if message and message[0] == FAULT:
                    said = json.dumps(message, default=repr)
                    assert not LEAK.search(said), f"a trace or path went to the peer: {said}"


Check = Callable[[Bench], Awaitable[None]]


class Group:
    """Checks that share one server, started with these flags."""

    def __init__(self, title: str, *flags: str, solve: Callable[[Any], Any] | None = None) -> None:
        self.title, self.flags, self.solve = title, flags, solve
        self.checks: list[tuple[str, Check]] = []

    def check(self, name: str) -> Callable[[Check], Check]:
        def add(function: Check) -> Check:
            self.checks.append((f"{self.title}: {name}", function))
            return function

        return add


def same(got: Any, expected: Any) -> None:
    """Equal, and true is not 1."""
    assert got == expected and isinstance(got, bool) == isinstance(expected, bool), (
        f"got {got!r}, expected {expected!r}"
    )


def ended(end: tuple[int, str], *allowed: tuple[int, str] | int) -> None:
    assert end in allowed or end[0] in allowed, f"closed {end}, expected {allowed}"


async def refused(greeting: Awaitable[Any], *allowed: tuple[int, str] | int) -> None:
    try:
        result = await greeting
    except Closed as closed:
        ended((closed.code, closed.reason), *allowed)
    else:
        raise AssertionError(f"was welcomed: {result}")


async def fault_of(call: Awaitable[Any]) -> CallFailed:
    try:
        result = await call
    except CallFailed as failed:
        return failed
    raise AssertionError(f"answered with {result!r}, a fault was expected")
