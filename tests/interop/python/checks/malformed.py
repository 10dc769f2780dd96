"""The table "Malformed input": whatever a client sends, it is turned away or served, and nobody else notices."""

from __future__ import annotations

import asyncio
from typing import Any

import cbor2

from bench import REFUSED, VIOLATION, Bench, Group, ended, same
from raw import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame
from wse_codecs import FAULT, HI, RESPONSE, Envelope

PROCESSING = "wse.server.msg-processing-error"
PROTOCOL = "wse.server.protocol-violation"
CONNECTION = "wse.server.connection-error"
MAX = 50_000
DEEP = 50_000

Input = str | bytes

malformed = Group("malformed", "--max-message", str(4 * DEEP * 4))


def written(bench: Bench, *messages: Any) -> list[Input]:
    """Each message as the format writes any value, in so far as it can."""
    if bench.protocol == "cbor":
        return [cbor2.dumps(message) for message in messages]
    text = bench.codec.pack
    return [text("\x01", message, None).replace('["\\u0001",', "", 1).removesuffix(",null]") for message in messages]


def undecodable(bench: Bench) -> list[Input]:
    return {
        "json": ["x", "", "[", '["count",{"count":1}', '["count"],', "{'a':1}", '["\\x"]'],
        "custom": ["CUSTOM:x", "CUSTOM:", "", '["count"]', 'CUSTOM["count"]', 'custom:["count"]'],
        "cbor": [b"", b"\x83", b"\x83\x65coun", b"\xff", b"\x1f", b"\x9a\xff\xff\xff\xff", b"\x81\x62\xc3\x28"],
        "protobuf": [b"\xff", b"\x0a", b"\x0a\x05a", b"\x0a\xff\xff\xff\xff\x0f", b"\x0f", b"\x0a\x02\xc3\x28"],
    }[bench.protocol]


def no_message(bench: Bench) -> list[Input]:
    if bench.protocol == "protobuf":
        return [b"", Envelope(flags=1).SerializeToString(), Envelope(payload=b"\x11" + bytes(8)).SerializeToString()]
    return written(
        bench, {}, None, 5, True, "count", {"type": "count"}, [], [None], ["", 1], [None, 1, None], [None, 1, ""]
    )


async def outcome(bench: Bench, data: Input, *ends: Any) -> Any:
    """A welcomed client sends this: the client when it is served, None when it was closed as allowed."""
    client = await bench.client()
    await client.raw(data)
    fence = asyncio.create_task(client.call("slow", {"ms": 50}))
    await asyncio.wait([fence, client.closed], return_when=asyncio.FIRST_COMPLETED, timeout=4)
    alive = fence.done() and fence.exception() is None
    if not alive:
        ended(await client.end(), *(ends or (VIOLATION,)))
        await asyncio.gather(fence, return_exceptions=True)
    await bench.served()
    return client if alive else None


@malformed.check("what cannot be decoded, or is no message, closes")
async def _(bench: Bench) -> None:
    for inputs, codes in (undecodable(bench), {PROCESSING}), (no_message(bench), {PROCESSING, PROTOCOL}):
        for data in inputs:
            client = await bench.client()
            await client.raw(data)
            ended(await client.end(), VIOLATION)
            await bench.event(event="left", cid=client.cid)
            errors = {event["code"] for event in await bench.events(client.cid) if event["event"] == "error"}
            assert errors and errors <= codes, f"{data!r}: {errors}"
            await bench.served()


@malformed.check("a stamp without a type closes, or is an unknown procedure")
async def _(bench: Bench) -> None:
    if bench.protocol == "protobuf":
        inputs: list[Input] = [Envelope(stamp="s").SerializeToString()]
    else:
        inputs = written(bench, [None, 1, "s"], ["", None, "s"])
    for data in inputs:
        if client := await outcome(bench, data):
            [(kind, payload, _)] = [message for message in client.received if message[2] == "s"]
            same([kind, payload["code"]], [FAULT, "wse.server.rp.not-registered"])


@malformed.check("anything before the greeting closes, whatever follows")
async def _(bench: Bench) -> None:
    pack = bench.codec.pack
    others = [
        pack("count", {"count": 1}, None),
        pack("add", None, "s"),
        pack("~wse:welcome", None, None),
        pack(RESPONSE, 1, "s"),
    ]
    for data in [*others, *undecodable(bench), *no_message(bench)]:
        cid = bench.user()
        client = await bench.stranger()
        await client.raw(data)
        await client.send(HI, {"identity": "valid-secret", "meta": {"user_id": cid}})
        ended(await client.end(), VIOLATION)
        same(client.received, [])
        await bench.nobody(cid)
        await bench.served()


@malformed.check("a greeting without payload or identity is refused")
async def _(bench: Bench) -> None:
    for payload in None, {}, {"meta": {}}, {"identity": None, "meta": None}:
        client = await bench.stranger()
        await client.send(HI, payload)
        ended(await client.end(), VIOLATION, REFUSED)
        await bench.served()


@malformed.check("meta that is no object counts as something, or closes")
async def _(bench: Bench) -> None:
    for meta in "text", 5, True, [1, 2]:
        client = await bench.stranger()
        greeted = asyncio.create_task(client.greet("valid-secret", meta))
        await asyncio.gather(greeted, return_exceptions=True)
        if greeted.exception():
            ended(await client.end(), VIOLATION, REFUSED)
        await bench.served()


@malformed.check("greeting again and unknown internal types change nobody")
async def _(bench: Bench) -> None:
    other = bench.user()
    messages = [
        (HI, {"identity": "valid-secret", "meta": {"user_id": other}}),
        (HI, None),
        ("~wse:no-such", 1),
        ("~wse:welcome", 1),
    ]
    for kind, payload in messages:
        if client := await outcome(bench, bench.codec.pack(kind, payload, None)):
            same((await client.call("whoami"))["cid"], client.cid)
            await bench.event(event="ignored", cid=client.cid, type=kind)
        await bench.nobody(other)


@malformed.check("frames of the other kind")
async def _(bench: Bench) -> None:
    data = bench.codec.pack("count", None, None)
    if isinstance(data, str):
        other: Input = data.encode()
    else:
        other = data.decode() if bench.protocol == "protobuf" else '["count"]'
    if client := await outcome(bench, other, VIOLATION, 1003):
        same(await client.take("count"), {"count": 1})


@malformed.check("types and stamps that are no text, and longer arrays")
async def _(bench: Bench) -> None:
    if bench.protocol == "protobuf":
        for data in b"\x08\x05", b"\x08\x05\x1a\x01s", b"\x0a\x04echo\x18\x05":
            await outcome(bench, data)
        return
    for data in written(
        bench, [5], [True, 1], [{"a": 1}, 1], [["x"], 1], [1.5, 1, "s"], ["echo", 1, 0], ["echo", 1, False]
    ):
        await outcome(bench, data)
    for stamp in 12345, 1.5, True, {"a": 1}, [1, "x"]:
        if client := await outcome(bench, written(bench, ["echo", "odd", stamp])[0]):
            [reply] = [message for message in client.received if message[1] == "odd"]
            same(reply[2], stamp)
    for rest in ["more"], [None, None], ["a", {}, []]:
        if client := await outcome(bench, written(bench, ["echo", 1, "s", *rest])[0]):
            assert (RESPONSE, 1, "s") in client.received, client.received


@malformed.check("nesting of any depth")
async def _(bench: Bench) -> None:
    for rpc in "echo", "throw-custom", "no-such":
        if bench.protocol == "cbor":
            head, tail = b"\x83" + cbor2.dumps(rpc), cbor2.dumps("s")
            await outcome(bench, head + b"\x81" * DEEP + b"\x01" + tail)
            await outcome(bench, head + b"\xa1\x61a" * DEEP + b"\x01" + tail)
        elif bench.protocol == "protobuf":
            body = b"\x08\x00"
            for _ in range(400):
                for tag in b"\x0a", b"\x32":
                    size = len(body)
                    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
                    body = tag + length + body
            await outcome(bench, Envelope(type=rpc, payload=body, stamp="s").SerializeToString())
        else:
            prefix = "CUSTOM:" if bench.protocol == "custom" else ""
            await outcome(bench, f'{prefix}["{rpc}",{"[" * DEEP}{"]" * DEEP},"s"]')
            await outcome(bench, f'{prefix}["{rpc}",{"[" * DEEP}')


frames = Group("frames", "--max-message", str(MAX))


def sized(bench: Bench, size: int) -> bytes:
    """A frame with a `record` message of exactly this many bytes."""
    length = size
    while len(as_bytes := _bytes(bench.codec.pack("record", "x" * length, None))) > size:
        length -= len(as_bytes) - size
    assert len(as_bytes) == size
    return frame(BINARY if bench.codec.binary else TEXT, as_bytes)


def _bytes(data: Input) -> bytes:
    return data.encode() if isinstance(data, str) else data


@frames.check("broken frames")
async def _(bench: Bench) -> None:
    kind = BINARY if bench.codec.binary else TEXT
    close = (1002,)
    rows = [
        (close, frame(kind, b"x", rsv=4)), (close, frame(kind, b"x", rsv=1)), (close, frame(3, b"x")), (close, frame(11)),
        (close, frame(kind, b"x", masked=False)), (close, frame(CONTINUATION, b"x")), (close, frame(PING, b"x", fin=False)),
        (close, frame(kind, b"x", fin=False) + frame(kind, b"y")), (close, frame(PING, b"x" * 126)),
        (close, frame(CLOSE, b"x")), (close, frame(CLOSE, b"\x03\xed")), (close, frame(CLOSE, b"\x00\x00")),
        ((1009, 1002), frame(kind, announced=2**62)), ((1009, 1002), frame(kind, announced=2**64 - 1)),
        ((1009,), sized(bench, MAX + 1)),
    ]  # fmt: skip
    for codes, data in rows:
        raw = await bench.raw_client(cid := bench.user())
        raw.write(data)
        ended(await raw.end(), *codes)
        await bench.event(event="error", cid=cid, code=CONNECTION)
        await bench.event(event="left", cid=cid)
        stranger = await bench.raw()
        stranger.write(data)
        ended(await stranger.end(), *codes)
        await bench.served()


@frames.check("text that is not UTF-8")
async def _(bench: Bench) -> None:
    for data in b"\xff", b"\xed\xa0\x80", b"abc\xc3":
        raw = await bench.raw_client(bench.user())
        raw.write(frame(TEXT, data))
        ended(await raw.end(), 1007, *([1003, VIOLATION] if bench.codec.binary else []))
        await bench.served()


@frames.check("a message of the largest size is taken")
async def _(bench: Bench) -> None:
    raw = await bench.raw_client(cid := bench.user())
    raw.write(sized(bench, MAX))
    await bench.event(event="message", cid=cid)


@frames.check("fragments and bytes one by one make a message")
async def _(bench: Bench) -> None:
    raw = await bench.raw_client(bench.user())
    kind = BINARY if bench.codec.binary else TEXT
    data = _bytes(bench.codec.pack("count", {"count": 1}, None))
    pieces = frame(kind, data[:2], fin=False) + frame(CONTINUATION, data[2:5], fin=False) + frame(PING, b"p")
    for byte in pieces + frame(CONTINUATION, data[5:]):
        raw.write(bytes([byte]))
        await asyncio.sleep(0)
    same([await raw.next() for _ in range(2)][0], (10, b"p"))


GROUPS = [malformed, frames]
