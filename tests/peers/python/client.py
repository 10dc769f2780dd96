"""Clients of Python libraries against our echo server: client.py LIBRARY URL RAISED DEFLATE.

RAISED is the URL of a server that takes 5 MiB, DEFLATE that of one that compresses. It prints one line for each check: `ok NAME`, a
note behind it, or `failed NAME: CAUSE`; `none NAME` is what the library has no way to do.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

MIB = 1 << 20
MAX = 6 << 20
TEXT = "grüße 😀 "
LIBRARY, URL, RAISED, DEFLATE = sys.argv[1:]


class Closed(Exception):
    """The server has closed, with this code and reason."""

    def __init__(self, code: int | None, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(f"closed with {code} {reason!r}")


class NoWay(Exception):
    """The library cannot do it."""


class Websockets:
    async def open(self, url: str) -> None:
        from websockets.asyncio.client import connect

        self.ws = await connect(url, max_size=MAX, proxy=None)

    async def send(self, message: str | bytes) -> None:
        await self.ws.send(message)

    async def recv(self) -> str | bytes:
        from websockets import ConnectionClosed

        try:
            return await self.ws.recv()
        except ConnectionClosed:
            raise Closed(self.ws.close_code, self.ws.close_reason or "") from None

    async def ping(self) -> None:
        await (await self.ws.ping(b"are you there?"))

    async def close(self, code: int, reason: str) -> int | None:
        await self.ws.close(code, reason)
        return self.ws.close_code

    async def split(self, pieces: list[bytes]) -> None:
        await self.ws.send(iter(pieces), text=True)

    def compresses(self) -> bool:
        return bool(self.ws.protocol.extensions)


class Aiohttp:
    async def open(self, url: str) -> None:
        import aiohttp

        self.session = aiohttp.ClientSession()
        self.ws = await self.session.ws_connect(url, max_msg_size=MAX, compress=15 if url == DEFLATE else 0, autoping=False)

    async def send(self, message: str | bytes) -> None:
        await (self.ws.send_str(message) if isinstance(message, str) else self.ws.send_bytes(message))

    async def recv(self) -> str | bytes:
        from aiohttp import WSMsgType

        message = await self.ws.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return message.data
        await self.session.close()
        raise Closed(self.ws.close_code, message.extra if message.type == WSMsgType.CLOSE else "")

    async def ping(self) -> None:
        from aiohttp import WSMsgType

        await self.ws.ping(b"are you there?")
        assert (await self.ws.receive()).type == WSMsgType.PONG

    async def close(self, code: int, reason: str) -> int | None:
        await self.ws.close(code=code, message=reason.encode())
        await self.session.close()
        return self.ws.close_code

    async def split(self, pieces: list[bytes]) -> None:
        raise NoWay

    def compresses(self) -> bool:
        return self.ws.compress > 0


class Tornado:
    async def open(self, url: str) -> None:
        from tornado.websocket import websocket_connect

        self.pong = asyncio.Event()
        compression: dict[str, Any] | None = {} if url == DEFLATE else None
        self.ws = await websocket_connect(url, compression_options=compression, max_message_size=MAX)
        self.ws.on_pong = lambda _: self.pong.set()

    async def send(self, message: str | bytes) -> None:
        await self.ws.write_message(message, binary=isinstance(message, bytes))

    async def recv(self) -> str | bytes:
        message = await self.ws.read_message()
        if message is None:
            raise Closed(self.ws.close_code, self.ws.close_reason or "")
        return message

    async def ping(self) -> None:
        self.ws.ping(b"are you there?")
        waiting = asyncio.ensure_future(self.ws.read_message())
        await self.pong.wait()
        waiting.cancel()

    async def close(self, code: int, reason: str) -> int | None:
        self.ws.close(code, reason)
        while await self.ws.read_message() is not None:
            pass
        return self.ws.close_code

    async def split(self, pieces: list[bytes]) -> None:
        raise NoWay

    def compresses(self) -> bool:
        return self.ws.protocol._decompressor is not None


class Picows:
    async def open(self, url: str) -> None:
        import picows

        queue: asyncio.Queue[Any] = asyncio.Queue()
        kinds = picows.WSMsgType

        class Listener(picows.WSListener):
            """It gets frames: a message is what they make together."""

            def __init__(self) -> None:
                self.kind, self.parts = None, b""

            def on_ws_frame(self, transport: Any, frame: Any) -> None:
                payload = frame.get_payload_as_bytes()
                if frame.msg_type in (kinds.TEXT, kinds.BINARY, kinds.CONTINUATION):
                    self.kind = self.kind or frame.msg_type
                    self.parts += payload
                    if frame.fin:
                        queue.put_nowait(self.parts.decode() if self.kind == kinds.TEXT else self.parts)
                        self.kind, self.parts = None, b""
                elif frame.msg_type == kinds.CLOSE:
                    queue.put_nowait(Closed(frame.get_close_code(), (frame.get_close_message() or b"").decode()))
                    # Its default: a close frame with the status 0, if none was sent.
                    if not transport.is_close_frame_sent:
                        transport.send_close()
                    transport.disconnect()
                elif frame.msg_type == kinds.PONG:
                    queue.put_nowait(payload)

            def on_ws_disconnected(self, transport: Any) -> None:
                queue.put_nowait(Closed(None, "FIN"))

        self.queue, self.kinds = queue, kinds
        self.transport, _ = await picows.ws_connect(Listener, url, max_frame_size=MAX)

    async def send(self, message: str | bytes) -> None:
        kind = self.kinds.TEXT if isinstance(message, str) else self.kinds.BINARY
        self.transport.send(kind, message.encode() if isinstance(message, str) else message)

    async def recv(self) -> str | bytes:
        message = await self.queue.get()
        if isinstance(message, Closed):
            raise message
        return message

    async def ping(self) -> None:
        self.transport.send_ping(b"are you there?")
        assert await self.queue.get() == b"are you there?"

    async def close(self, code: int, reason: str) -> int | None:
        if code:
            self.transport.send_close(code, reason.encode())
        else:
            self.transport.send_close()
        try:
            await self.recv()
        except Closed as closed:
            return closed.code
        return None

    async def split(self, pieces: list[bytes]) -> None:
        for n, piece in enumerate(pieces):
            kind = self.kinds.TEXT if n == 0 else self.kinds.CONTINUATION
            self.transport.send(kind, piece, fin=n == len(pieces) - 1)

    def compresses(self) -> bool:
        raise NoWay


class Autobahn:
    async def open(self, url: str) -> None:
        from urllib.parse import urlsplit

        from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
        from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateResponse, PerMessageDeflateResponseAccept

        queue: asyncio.Queue[Any] = asyncio.Queue()
        opened = asyncio.get_running_loop().create_future()

        class Protocol(WebSocketClientProtocol):
            def onOpen(self) -> None:
                opened.set_result(None)

            def onMessage(self, payload: bytes, isBinary: bool) -> None:
                queue.put_nowait(payload if isBinary else payload.decode())

            def onPong(self, payload: bytes) -> None:
                queue.put_nowait(payload)

            def onClose(self, wasClean: bool, code: int, reason: str) -> None:
                queue.put_nowait(Closed(self.remoteCloseCode, self.remoteCloseReason or ""))

        factory = WebSocketClientFactory(url)
        factory.protocol = Protocol
        if url == DEFLATE:
            factory.setProtocolOptions(
                perMessageCompressionOffers=[PerMessageDeflateOffer()],
                perMessageCompressionAccept=lambda response: PerMessageDeflateResponseAccept(response)
                if isinstance(response, PerMessageDeflateResponse)
                else None,
            )
        where = urlsplit(url)
        _, self.ws = await asyncio.get_running_loop().create_connection(factory, where.hostname, where.port)
        await opened
        self.queue = queue

    async def send(self, message: str | bytes) -> None:
        binary = isinstance(message, bytes)
        self.ws.sendMessage(message if binary else message.encode(), isBinary=binary)

    recv = Picows.recv

    async def ping(self) -> None:
        self.ws.sendPing(b"are you there?")
        assert await self.queue.get() == b"are you there?"

    async def close(self, code: int, reason: str) -> int | None:
        self.ws.sendClose(code, reason)
        try:
            await self.recv()
        except Closed as closed:
            return closed.code
        return None

    async def split(self, pieces: list[bytes]) -> None:
        self.ws.beginMessage(isBinary=False)
        for piece in pieces:
            self.ws.sendMessageFrame(piece)
        self.ws.endMessage()

    def compresses(self) -> bool:
        return self.ws.websocket_extensions_in_use != []


LIBRARIES = {"websockets": Websockets, "aiohttp": Aiohttp, "tornado": Tornado, "picows": Picows, "autobahn": Autobahn}


async def opened(url: str) -> Any:
    client: Any = LIBRARIES[LIBRARY]()
    await client.open(url)
    return client


async def echo(client: Any, message: str | bytes) -> None:
    await client.send(message)
    assert await client.recv() == message, "another message came back"


async def sizes() -> str:
    client = await opened(URL)
    for size in 0, 1, 125, 126, 65535, 65536:
        await echo(client, bytes(size))
        await echo(client, "x" * size)
    await echo(client, TEXT * 1000)
    return ""


async def one() -> str:
    await echo(await opened(URL), bytes(MIB))
    return ""


async def more() -> str:
    client = await opened(URL)
    try:
        await client.send(bytes(MIB + 1))
        await client.recv()
    except Closed as closed:
        assert (closed.code, closed.reason[:26]) == (1009, "message over 1048576 bytes"), closed
        return "1009"
    raise AssertionError("it was not closed")


async def five() -> str:
    await echo(await opened(RAISED), bytes(5 * MIB))
    return ""


async def ping() -> str:
    await (await opened(URL)).ping()
    return ""


async def ours() -> str:
    client = await opened(URL)
    try:
        await client.send("close")
        await client.recv()
    except Closed as closed:
        assert (closed.code, closed.reason) == (4001, "bye"), closed
        return "4001"
    raise AssertionError("it was not closed")


async def theirs() -> str:
    client = await opened(URL)
    code = await client.close(4002, "done")
    assert code == 4002, code
    if LIBRARY == "picows":
        # Its default, the status 0, is a violation.
        code = await (await opened(URL)).close(0, "")
        assert code == 1002, code
        return "4002; 0 is answered by 1002"
    return "4002"


async def deflate() -> str:
    client = await opened(DEFLATE)
    if not client.compresses():
        raise AssertionError("compression was not agreed on")
    for message in "", "x", TEXT * 10_000, "", TEXT * 10_000:
        await echo(client, message)
    return ""


async def split() -> str:
    client = await opened(URL)
    await client.send("split")
    assert await client.recv() == "é"
    try:
        await client.split([bytes([byte]) for byte in TEXT.encode()])
    except NoWay:
        return "here"
    assert await client.recv() == TEXT
    return "both ways"


CHECKS: dict[str, Callable[[], Awaitable[str]]] = {
    "sizes": sizes, "1MiB": one, "+1": more, "5MiB": five, "ping": ping,
    "theirs": theirs, "ours": ours, "deflate": deflate, "split": split,
}  # fmt: skip


async def main() -> int:
    failed = 0
    for name, check in CHECKS.items():
        try:
            print(f"ok {name} {await asyncio.wait_for(check(), 15)}".rstrip())
        except NoWay:
            print(f"none {name}")
        except Exception as error:
            failed += 1
            print(f"failed {name}: {type(error).__name__} {error}")
    return failed > 0


if __name__ == "__main__":
    async def run() -> None:
        failed = await main()
        sys.stdout.flush()
        # Connections that are left open need no goodbye.
        os._exit(failed)

    asyncio.run(run())
