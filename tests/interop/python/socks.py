"""A SOCKS 5 proxy for clients under test (RFC 1928, RFC 1929), of the standard library alone.

    python socks.py [--login USER:PASSWORD]

Prints `listening on 127.0.0.1:PORT`, `tunnel to HOST:PORT` for each tunnel it opens and `refused` for each it does
not, and runs until it is killed.
"""

import argparse
import asyncio
import ipaddress

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("--login")
LOGIN = ARGUMENTS.parse_args().login

ANYBODY, USERNAME_PASSWORD, NONE_ACCEPTABLE = 0, 2, 0xFF
SUCCEEDED, HOST_UNREACHABLE, CONNECT = 0, 4, 1
IPV4, NAME, IPV6 = 1, 3, 4


async def chunk(reader):
    """As many bytes as the first one says."""
    (length,) = await reader.readexactly(1)
    return await reader.readexactly(length)


async def admitted(reader, writer):
    """Whether the client may ask for something."""
    assert await reader.readexactly(1) == b"\x05"
    wanted = USERNAME_PASSWORD if LOGIN else ANYBODY
    if wanted not in await chunk(reader):
        writer.write(bytes([5, NONE_ACCEPTABLE]))
        return False
    writer.write(bytes([5, wanted]))
    if not LOGIN:
        return True
    assert await reader.readexactly(1) == b"\x01"
    user, password = await chunk(reader), await chunk(reader)
    right = b":".join([user, password]) == LOGIN.encode()
    writer.write(bytes([1, 0 if right else 1]))
    return right


async def target(reader):
    version, command, reserved, kind = await reader.readexactly(4)
    assert (version, command, reserved) == (5, CONNECT, 0)
    if kind == NAME:
        host = (await chunk(reader)).decode()
    else:
        host = str(ipaddress.ip_address(await reader.readexactly({IPV4: 4, IPV6: 16}[kind])))
    return host, int.from_bytes(await reader.readexactly(2), "big")


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def serve(reader, writer):
    try:
        if not await admitted(reader, writer):
            print("refused", flush=True)
            return
        host, port = await target(reader)
        try:
            other_reader, other_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.write(bytes([5, HOST_UNREACHABLE, 0, IPV4, 0, 0, 0, 0, 0, 0]))
            return
        print(f"tunnel to {host}:{port}", flush=True)
        writer.write(bytes([5, SUCCEEDED, 0, IPV4, 127, 0, 0, 1, 0, 0]))
        await asyncio.gather(pump(reader, other_writer), pump(other_reader, writer))
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"listening on {host}:{port}", flush=True)
    await server.serve_forever()


asyncio.run(main())
