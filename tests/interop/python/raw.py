"""A WebSocket written by hand over TCP, for bytes that a library refuses to send."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from urllib.parse import urlsplit

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PATIENCE = 4.0


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True, announced: int = -1
) -> bytes:
    """One client frame. `announced` is the length that the header claims, when it shall not be the true one."""
    length = len(payload) if announced < 0 else announced
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    mark = 0x80 if masked else 0
    if length < 126:
        head = struct.pack("!BB", first, mark | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, mark | 126, length)
    else:
        head = struct.pack("!BBQ", first, mark | 127, length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class RawSocket:
    """`status` and `headers` are the answer to the upgrade; the status is 0 when there was none."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.status = 0
        self.headers: dict[str, str] = {}

    @classmethod
    async def upgrade(cls, url: str, offer: list[str], path: str = "/") -> RawSocket:
        target = urlsplit(url)
        raw = cls(*await asyncio.open_connection(target.hostname, target.port))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {target.netloc}", "Connection: Upgrade", "Upgrade: websocket"]
        lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
        lines += [f"Sec-WebSocket-Protocol: {', '.join(offer)}"] if offer else []
        raw.write("\r\n".join([*lines, "", ""]).encode())
        await asyncio.wait_for(raw._read_head(), PATIENCE)
        return raw

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def next(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next frame; None when the connection has ended."""
        try:
            return await asyncio.wait_for(self._read_frame(), PATIENCE)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def end(self) -> tuple[int, str]:
        """Reads up to the close frame and ends TCP: its code and reason, 1005 when it is empty, 1006 without one."""
        end = await self._end()
        self.writer.close()
        return end

    async def _end(self) -> tuple[int, str]:
        while got := await self.next():
            opcode, payload = got
            if opcode == CLOSE:
                return (struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (1005, "")
        return 1006, ""

    def vanish(self) -> None:
        self.writer.transport.abort()

    async def _read_head(self) -> None:
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        first, *lines = head.decode().strip().split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    async def _read_frame(self) -> tuple[int, bytes]:
        first, length = await self.reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(length)
