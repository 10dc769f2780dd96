"""A wse server on `websockets`, for clients under test.

    python server.py --protocol json|cbor|protobuf|custom [--challenge] [--port N]

Prints `listening on ws://127.0.0.1:PORT` and runs until it is killed. It serves the same channel messages and
procedures as js/server.mjs, where they are listed, and unlike it drops replies that belong to no running call.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from client import CallFailed, new_stamp
from wse_codecs import CHALLENGE, CODECS, FAULT, HI, RESPONSE, WELCOME, Codec


class Hub:
    """What the connections share."""

    def __init__(self, codec: Codec, challenge: bool) -> None:
        self.codec, self.challenge = codec, challenge
        self.users: dict[str, Connection] = {}
        self.counted = 0

    async def serve(self, socket: ServerConnection) -> None:
        if socket.subprotocol == self.codec.name:
            await Connection(self, socket).run()
        else:
            await socket.close(1000, "wse.protocol-error")

    async def broadcast(self, kind: str, payload: Any) -> int:
        for connection in list(self.users.values()):
            await connection.pack(kind, payload)
        return len(self.users)


class Connection:
    def __init__(self, hub: Hub, socket: ServerConnection) -> None:
        self.hub, self.socket = hub, socket
        self.cid: str | None = None
        self.meta: dict[str, Any] = {}
        self.messages = 0
        self.closing = False
        self._calls: dict[str, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        try:
            if await self._authenticate():
                await self._listen()
        except ConnectionClosed:
            pass
        except Exception:  # noqa: BLE001 (whatever cannot be decoded, in the words of any library)
            await self.end(1000, "wse.protocol-error")
        await self.socket.wait_closed()
        if self.cid is not None and self.hub.users.get(self.cid) is self:
            del self.hub.users[self.cid]
        end = [self.socket.close_code or 1006, self.socket.close_reason or ""]
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(CallFailed({"code": "wse.client.rp.disconnect", "details": {"disconnected": end}}))

    async def pack(self, kind: str, payload: Any = None, stamp: str | None = None) -> None:
        try:
            await self.socket.send(self.hub.codec.pack(kind, payload, stamp))
        except ConnectionClosed:
            pass

    async def call(self, rpc: str, payload: Any, timeout: float) -> Any:
        stamp = new_stamp()
        answer = self._calls[stamp] = asyncio.get_running_loop().create_future()
        await self.pack(rpc, payload, stamp)
        try:
            return await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            raise CallFailed({"code": "wse.client.rp.timeout", "details": {}}) from None
        finally:
            del self._calls[stamp]

    async def end(self, code: int, reason: str) -> None:
        self.closing = True
        await self.socket.close(code, reason)

    async def _next(self) -> tuple[Any, Any, Any]:
        message = self.hub.codec.unpack(await self.socket.recv())
        self.messages += 1
        return message

    async def _authenticate(self) -> bool:
        kind, hi, _ = await self._next()
        if kind != HI or not hi:
            raise ValueError("a greeting comes first")
        solved = True
        if self.hub.challenge:
            await self.pack(CHALLENGE, {"a": 1, "b": 2})
            kind, answer, _ = await self._next()
            if kind != CHALLENGE:
                raise ValueError("the answer to the challenge comes next")
            solved = answer == 3 and not isinstance(answer, bool)
        if hi.get("identity") != "valid-secret" or not solved:
            await self.end(1000, "wse.not-authorized")
            return False
        self.meta = hi.get("meta") or {}
        await self._join()
        return True

    async def _join(self) -> None:
        cid = self.meta.get("user_id")
        if cid is None:
            self.hub.counted += 1
            cid = f"user-{self.hub.counted}"
        self.cid = str(cid)
        before = self.hub.users.get(self.cid)
        self.hub.users[self.cid] = self
        if before:
            self._start(before.end(1000, "wse.clients-concurrency"))
        await self.pack(WELCOME, {"hey": "some additional data for the client"})

    async def _listen(self) -> None:
        while not self.closing:
            kind, payload, stamp = await self._next()
            if kind in (RESPONSE, FAULT) and stamp:
                answer = self._calls.get(stamp)
                if answer and not answer.done():
                    answer.set_result(payload) if kind == RESPONSE else answer.set_exception(CallFailed(payload))
            elif stamp:
                self._start(self._perform(kind, payload, stamp))
            elif not kind:
                raise ValueError("a message has a type or a stamp")
            elif kind in CHANNEL:
                await CHANNEL[kind](self, payload)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, rpc: str, payload: Any, stamp: str) -> None:
        procedure = PROCEDURES.get(rpc)
        if procedure is None:
            return await self.pack(FAULT, {"code": "wse.server.rp.not-registered"}, stamp)
        try:
            result = await procedure(self, payload)
        except CallFailed as failed:
            details = {**failed.details, "rpc": rpc, "payload": payload}
            return await self.pack(FAULT, {"code": failed.code, "details": details}, stamp)
        except Exception as error:  # noqa: BLE001 (whatever a procedure fails with)
            origin = {"name": type(error).__name__, "message": str(error)}
            details = {"origin": origin, "rpc": rpc, "payload": payload}
            return await self.pack(
                FAULT, {"code": "wse.server.rp.failed", "message": str(error), "details": details}, stamp
            )
        return await self.pack(RESPONSE, result, stamp)


async def count(connection: Connection, payload: Any) -> None:
    n = payload.get("count") if isinstance(payload, dict) else None
    await connection.pack("count", {"count": n + 1 if isinstance(n, int | float) else 1})


async def announce(connection: Connection, payload: Any) -> int:
    return await connection.hub.broadcast("announce", payload)


async def add(_: Connection, payload: Any) -> Any:
    return payload["a"] + payload["b"]


async def echo(_: Connection, payload: Any) -> Any:
    return payload


async def nothing(_: Connection, __: Any) -> None:
    return None


async def slow(_: Connection, payload: Any) -> int:
    await asyncio.sleep(payload["ms"] / 1000)
    return 1


async def late(_: Connection, payload: Any) -> str:
    await asyncio.sleep(payload["ms"] / 1000)
    return "late"


async def throw(_: Connection, __: Any) -> None:
    raise RuntimeError("Vanilla error")


async def throw_wse(_: Connection, __: Any) -> None:
    raise CallFailed({"code": "test-err-code", "details": {"fun": 1}})


async def call_me(connection: Connection, payload: Any) -> dict[str, Any]:
    try:
        timeout = payload.get("timeout", 5000) / 1000
        return {"ok": await connection.call(payload["rp"], payload.get("payload"), timeout)}
    except CallFailed as failed:
        return {"err": failed.fault}


async def kick(connection: Connection, payload: Any) -> None:
    await connection.end(payload["code"], payload["reason"])


async def vanish(connection: Connection, _: Any) -> None:
    connection.socket.transport.abort()


async def stray(connection: Connection, payload: Any) -> Any:
    await connection.pack(RESPONSE, "stray", "unknown-stamp")
    await connection.pack(FAULT, {"code": "stray"}, "unknown-stamp")
    return payload


async def received(connection: Connection, _: Any) -> int:
    return connection.messages


async def whoami(connection: Connection, _: Any) -> dict[str, Any]:
    return {"cid": connection.cid, "meta": connection.meta}


Handler = Callable[[Connection, Any], Awaitable[Any]]
CHANNEL: dict[str, Handler] = {"count": count, "announce": announce}
PROCEDURES: dict[str, Handler] = {
    "add": add, "echo": echo, "nothing": nothing, "slow": slow, "late": late, "throw": throw, "throw-wse": throw_wse,
    "call-me": call_me, "kick": kick, "vanish": vanish, "stray": stray, "announce": announce, "received": received,
    "whoami": whoami,
}  # fmt: skip


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocol", choices=CODECS, default="json")
    parser.add_argument("--challenge", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    codec = CODECS[options.protocol]
    hub = Hub(codec, options.challenge)

    def select(_: ServerConnection, offered: Any) -> Any:
        return codec.name if codec.name in offered else None

    async with serve(hub.serve, "127.0.0.1", options.port, select_subprotocol=select, max_size=None) as server:
        print(f"listening on ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
