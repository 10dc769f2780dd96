#!/usr/bin/env bash
# picows 2.3.1 (Python, PyPI): a close without a code is sent as the code 0.
#
# A server calls `transport.send_close()` without arguments. Its default, `WSCloseCode.NO_INFO`, is 0, and is written as a
# payload of two bytes. RFC 6455 §5.5.1 writes "no code" as an empty payload, and §7.4.2 has no codes below 1000, so a strict
# peer takes a normal end for a protocol error: it answers 1002, and reports 1006.
#
# Output seen: the close frame is 88020000.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check picows==2.3.1
cat > "$folder/close.py" <<'PYTHON'
import asyncio
from picows import WSListener, ws_create_server


class Closing(WSListener):
    def on_ws_connected(self, transport):
        transport.send_close()


async def main():
    server = await ws_create_server(lambda request: Closing(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    head = await asyncio.wait_for(reader.readexactly(2), 10)
    frame = head + await asyncio.wait_for(reader.readexactly(head[1] & 127), 10)
    print("the close frame is", frame.hex())
    return frame.hex() == "88020000"


raise SystemExit(0 if asyncio.run(main()) else "it is not 88020000 any more")
PYTHON
timeout 60 "$folder/venv/bin/python" "$folder/close.py"
