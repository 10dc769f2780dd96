"""Echo servers of Python libraries: server.py LIBRARY. It prints where it listens.

The text `close` closes with 4001 `bye`; `split` sends the text `é` in two frames, split inside the character, where the
library can send frames.
"""

import asyncio
import socket
import sys
from typing import Any

MAX = 6 << 20
HALVES = (b"\xc3", b"\xa9")


def listening(port: int) -> None:
    print(f"listening on ws://127.0.0.1:{port}", flush=True)


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


async def websockets_() -> None:
    from websockets.asyncio.server import serve

    async def echo(ws: Any) -> None:
        async for message in ws:
            if message == "close":
                await ws.close(4001, "bye")
            elif message == "split":
                await ws.send(iter(HALVES), text=True)
            else:
                await ws.send(message)

    async with serve(echo, "127.0.0.1", 0, max_size=MAX) as server:
        listening(server.sockets[0].getsockname()[1])
        await asyncio.Future()


async def aiohttp_() -> None:
    from aiohttp import WSMsgType, web

    async def echo(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=MAX)
        await ws.prepare(request)
        async for message in ws:
            if message.type == WSMsgType.BINARY:
                await ws.send_bytes(message.data)
            elif message.data == "close":
                await ws.close(code=4001, message=b"bye")
            elif message.type == WSMsgType.TEXT:
                await ws.send_str(message.data)
        return ws

    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    listening(runner.addresses[0][1])
    await asyncio.Future()


async def tornado_() -> None:
    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets
    from tornado.web import Application
    from tornado.websocket import WebSocketHandler

    class Echo(WebSocketHandler):
        def get_compression_options(self) -> dict[str, Any]:
            return {}

        async def on_message(self, message: Any) -> None:
            if message == "close":
                self.close(4001, "bye")
            else:
                await self.write_message(message, binary=isinstance(message, bytes))

    sockets = bind_sockets(0, "127.0.0.1")
    HTTPServer(Application([("/", Echo)], websocket_max_message_size=MAX)).add_sockets(sockets)
    listening(sockets[0].getsockname()[1])
    await asyncio.Future()


async def picows_() -> None:
    from picows import WSListener, WSMsgType, ws_create_server

    class Echo(WSListener):
        """It gets frames: a message is what they make together."""

        def __init__(self) -> None:
            self.kind, self.parts = None, bytearray()

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            kind = frame.msg_type
            if kind == WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            elif kind == WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()
            elif kind != WSMsgType.PONG:
                self.kind = self.kind or kind
                self.parts += frame.get_payload_as_bytes()
                if frame.fin:
                    self.message(transport, self.kind, bytes(self.parts))
                    self.kind, self.parts = None, bytearray()

        def message(self, transport: Any, kind: Any, message: bytes) -> None:
            if message == b"close":
                transport.send_close(4001, b"bye")
            elif message == b"split":
                transport.send(WSMsgType.TEXT, HALVES[0], fin=False)
                transport.send(WSMsgType.CONTINUATION, HALVES[1])
            else:
                transport.send(kind, message)

    server = await ws_create_server(lambda _: Echo(), "127.0.0.1", 0, max_frame_size=MAX)
    listening(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def autobahn_() -> None:
    from autobahn.asyncio.websocket import WebSocketServerFactory, WebSocketServerProtocol
    from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept

    class Echo(WebSocketServerProtocol):
        def onMessage(self, payload: bytes, isBinary: bool) -> None:
            if payload == b"close":
                self.sendClose(4001, "bye")
            elif payload == b"split":
                self.beginMessage(isBinary=False)
                for half in HALVES:
                    self.sendMessageFrame(half)
                self.endMessage()
            else:
                self.sendMessage(payload, isBinary)

    def accept(offers: Any) -> Any:
        for offer in offers:
            if isinstance(offer, PerMessageDeflateOffer):
                return PerMessageDeflateOfferAccept(offer)

    factory = WebSocketServerFactory()
    factory.protocol = Echo
    factory.setProtocolOptions(perMessageCompressionAccept=accept)
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    listening(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The application in uvicorn, hypercorn and granian."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "close":
            await send({"type": "websocket.close", "code": 4001, "reason": "bye"})
            return
        kind = "bytes" if message.get("bytes") is not None else "text"
        await send({"type": "websocket.send", kind: message[kind]})


async def uvicorn(protocol: str) -> None:
    import uvicorn

    config = uvicorn.Config(asgi, "127.0.0.1", 0, ws=protocol, ws_max_size=MAX, log_level="warning")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    listening(server.servers[0].sockets[0].getsockname()[1])
    await serving


async def hypercorn_() -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{(port := free_port())}"]
    config.websocket_max_message_size = MAX
    config.errorlog = None
    serving = asyncio.create_task(serve(asgi, config, shutdown_trigger=asyncio.Future))
    await connected(port)
    await serving


async def connected(port: int) -> None:
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return listening(port)
        except OSError:
            await asyncio.sleep(0.02)


async def granian_() -> None:
    from granian.server.embed import Server

    server = Server(asgi, address="127.0.0.1", port=(port := free_port()), interface="asgi", log_enabled=False)
    serving = asyncio.create_task(server.serve())
    await connected(port)
    await serving


SERVERS = {
    "websockets": websockets_,
    "aiohttp": aiohttp_,
    "tornado": tornado_,
    "picows": picows_,
    "autobahn": autobahn_,
    "uvicorn/websockets": lambda: uvicorn("websockets-sansio"),
    "uvicorn/wsproto": lambda: uvicorn("wsproto"),
    "hypercorn": hypercorn_,
    "granian": granian_,
}

if __name__ == "__main__":
    asyncio.run(SERVERS[sys.argv[1]]())
