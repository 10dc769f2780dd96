"""A small wse client over `websockets`: greeting, challenge, calls both ways, channel messages, close reasons."""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from wse_codecs import (
    CHALLENGE,
    FAULT,
    HI,
    NOTE,
    RECEIPT,
    RESPONSE,
    SESSION,
    UNCOUNTED,
    WANTS,
    WELCOME,
    Codec,
    Message,
)

PATIENCE = 4.0
SILENT = object()
"""What a procedure returns to leave its call unanswered."""


def new_stamp() -> str:
    return "".join(random.choices(string.ascii_letters + string.digits, k=10))


class Closed(Exception):
    """The connection ended before what was asked for happened."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed {code} {reason!r}")
        self.code, self.reason = code, reason


class CallFailed(Exception):
    """A call that failed: the other side's fault, or `wse.client.rp.timeout` / `wse.client.rp.disconnect`."""

    def __init__(self, fault: dict[str, Any] | None) -> None:
        super().__init__(f"call failed: {fault}")
        self.fault = fault or {}
        self.code = self.fault.get("code")
        self.details = self.fault.get("details") or {}


class Client:
    """One connection. `received` is every message that came, None for one that does not decode.

    With `receipts` it says that it gives receipts, and gives them. `resume` goes into the greeting, if it is there.
    `session` is what the server has said of the session then, and `seen` how many counted messages of it have come."""

    def __init__(self, socket: Any, codec: Codec, receipts: bool = False, resume: Any = None) -> None:
        self.socket, self.codec, self.receipts, self.resume = socket, codec, receipts, resume
        self.session: dict[str, Any] = {}
        self.seen = resume["seen"] if isinstance(resume, dict) and "seen" in resume else 0
        self.received: list[Message | None] = []
        self.closed: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self.welcome: Any = None
        self._calls: dict[str, asyncio.Future[Any]] = {}
        self._procedures: dict[str, Callable[[Any, str], Awaitable[Any]]] = {}
        self._inbox: list[tuple[Any, Any]] = []
        self._news = asyncio.Condition()
        self._tasks = {asyncio.create_task(self._read())}

    @classmethod
    async def open(
        cls, url: str, codec: Codec, offer: list[str] | None = None, receipts: bool = False, resume: Any = None
    ) -> Client:
        socket = await connect(
            url,
            subprotocols=offer or [codec.name],
            proxy=None,
            max_size=None,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
        )
        return cls(socket, codec, receipts, resume)

    @classmethod
    async def connect(
        cls, url: str, codec: Codec, meta: Any = None, solve: Callable[[Any], Any] | None = None
    ) -> Client:
        client = await cls.open(url, codec)
        await client.greet("valid-secret", meta, solve)
        return client

    async def greet(self, identity: Any, meta: Any = None, solve: Callable[[Any], Any] | None = None) -> Any:
        """The welcome payload, or `Closed`. `solve(quest)` answers a challenge."""
        hi = {"identity": identity, "meta": meta} | ({} if self.resume is None else {"resume": self.resume})
        await self.raw(self.codec.pack(HI, hi, None, WANTS if self.receipts else 0))
        if solve:
            await self.send(CHALLENGE, solve(await self.take(CHALLENGE)))
        self.welcome = await self.take(WELCOME)
        return self.welcome

    async def send(self, kind: str, payload: Any = None) -> None:
        await self.raw(self.codec.pack(kind, payload, None))

    async def raw(self, data: str | bytes) -> None:
        """Sends bytes or text as they are; says nothing when the connection is gone."""
        try:
            await self.socket.send(data)
        except ConnectionClosed:
            pass

    async def call(self, rpc: str, payload: Any = None, stamp: str | None = None, patience: float = PATIENCE) -> Any:
        stamp = stamp or new_stamp()
        answer = self._calls[stamp] = asyncio.get_running_loop().create_future()
        if self.closed.done():
            raise CallFailed({"code": "wse.client.not-ready"})
        await self.raw(self.codec.pack(rpc, payload, stamp))
        try:
            return await asyncio.wait_for(answer, patience)
        except TimeoutError:
            raise CallFailed({"code": "wse.client.rp.timeout"}) from None
        finally:
            self._calls.pop(stamp, None)

    def register(self, rpc: str, handler: Callable[[Any, str], Awaitable[Any]]) -> None:
        """`await handler(payload, stamp)` serves calls of the other side; a `CallFailed` goes back as its fault."""
        self._procedures[rpc] = handler

    async def answer(self, stamp: str, result: Any = None) -> None:
        await self.raw(self.codec.pack(RESPONSE, result, stamp))

    async def refuse(self, stamp: str, fault: Any) -> None:
        await self.raw(self.codec.pack(FAULT, fault, stamp))

    async def take(self, kind: str, patience: float = PATIENCE) -> Any:
        """The payload of the next message of this type that was not taken yet; `Closed` when the end comes first."""

        def found() -> int | None:
            return next((at for at, (name, _) in enumerate(self._inbox) if name == kind), None)

        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: found() is not None or self.closed.done()), patience)
            at = found()
            if at is None:
                raise Closed(*self.closed.result())
            return self._inbox.pop(at)[1]

    def count(self, kind: str) -> int:
        return sum(message is not None and message[0] == kind for message in self.received)

    async def end(self, patience: float = PATIENCE) -> tuple[int, str]:
        """Code and reason of the end, which must come soon."""
        return await asyncio.wait_for(asyncio.shield(self.closed), patience)

    async def close(self, code: int = 1000, reason: str = "") -> tuple[int, str]:
        await self.socket.close(code, reason)
        return await self.end()

    def vanish(self) -> None:
        """Ends TCP without a close frame."""
        self.socket.transport.abort()

    async def _read(self) -> None:
        try:
            async for data in self.socket:
                await self._receive(data)
        except ConnectionClosed:
            pass
        await self.socket.wait_closed()
        end = (self.socket.close_code or 1006, self.socket.close_reason or "")
        self.closed.set_result(end)
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(
                    CallFailed({"code": "wse.client.rp.disconnect", "details": {"disconnected": list(end)}})
                )
        async with self._news:
            self._news.notify_all()

    async def _receive(self, data: str | bytes) -> None:
        try:
            message = self.codec.unpack(data)
        except Exception:  # noqa: BLE001 (every library has its own)
            self.received.append(None)
            return
        self.received.append(message)
        kind, payload, stamp = message
        if kind == SESSION:
            self._said(payload)
        self.seen += kind not in UNCOUNTED
        if kind in (RESPONSE, FAULT):
            # A reply that belongs to no running call finds nothing here, and is not answered.
            answer = self._calls.get(stamp) if isinstance(stamp, str) else None
            if answer and not answer.done():
                answer.set_result(payload) if kind == RESPONSE else answer.set_exception(CallFailed(payload))
        elif stamp and not self.codec.flags(data) & NOTE:
            task = asyncio.create_task(self._serve(kind, payload, stamp))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            if stamp and self.receipts:
                await self.raw(self.codec.pack(RECEIPT, None, stamp, NOTE))
            async with self._news:
                self._inbox.append((kind, payload))
                self._news.notify_all()

    def _said(self, session: dict[str, Any]) -> None:
        # What comes next has the number behind `seen`.
        self.session = session
        if session["outcome"] == "partial":
            self.seen = session["lost"][1]
        elif session["outcome"] != "full":
            self.seen = 0

    async def _serve(self, rpc: str, payload: Any, stamp: str) -> None:
        handler = self._procedures.get(rpc)
        if handler is None:
            return await self.refuse(stamp, {"code": "wse.server.rp.not-registered"})
        try:
            result = await handler(payload, stamp)
        except CallFailed as failed:
            return await self.refuse(stamp, failed.fault)
        if result is not SILENT:
            await self.answer(stamp, result)
        return None
