"""Users with several connections, channel messages, broadcasts, closes and events."""

from __future__ import annotations

import asyncio

from bench import EVICTED, Bench, Group, ended, same
from client import Client
from raw import CLOSE, frame

two = Group("devices", "--conn-per-user", "2")


async def pair(bench: Bench) -> tuple[Client, Client]:
    cid = bench.user()
    return await bench.client(cid), await bench.client(cid)


async def settled(*clients: Client) -> None:
    """All that was sent to the clients before has come once this is answered."""
    for client in clients:
        await client.call("add", {"a": 1, "b": 1})


@two.check("two devices are one user")
async def _(bench: Bench) -> None:
    first, second = await pair(bench)
    same([event["event"] for event in await bench.events(first.cid)], ["joined", "connected", "connected"])
    assert {"cid": first.cid, "conns": 2} in await second.call("clients")


@two.check("the third device evicts the oldest")
async def _(bench: Bench) -> None:
    first, second = await pair(bench)
    third = await bench.client(first.cid)
    ended(await first.end(), EVICTED)
    await settled(second, third)
    gone = await bench.event(event="disconnected", cid=first.cid)
    same((gone["code"], gone["reason"]), EVICTED)
    assert "left" not in [event["event"] for event in await bench.events(first.cid)]


@two.check("left comes once, with the last device and its code")
async def _(bench: Bench) -> None:
    first, second = await pair(bench)
    await first.close(4001, "one")
    await bench.event(event="disconnected", cid=first.cid, code=4001, reason="one")
    await second.close(4002, "zwei ä")
    same(await bench.story(first.cid), ["joined", "connected", "connected", "disconnected", "disconnected", "left"])
    await bench.event(event="left", cid=first.cid, code=4002, reason="zwei ä")


@two.check("hey: both to all devices, only to one")
async def _(bench: Bench) -> None:
    first, second = await pair(bench)
    await first.send("hey")
    same([await first.take("both"), await first.take("only"), await second.take("both")], [None] * 3)
    await settled(first, second)
    same([first.count("both"), first.count("only"), second.count("both"), second.count("only")], [1, 1, 1, 0])


@two.check("broadcast and send-to")
async def _(bench: Bench) -> None:
    first, second = await pair(bench)
    other, stranger = await bench.client(), await bench.stranger()
    users = len(await other.call("clients"))
    same(await other.call("broadcast", {"type": "news", "payload": {"x": [1]}}), users)
    for client in first, second, other:
        same(await client.take("news"), {"x": [1]})
    same(await other.call("send-to", {"cid": first.cid, "type": "note", "payload": "hi"}), 2)
    same([await first.take("note"), await second.take("note")], ["hi", "hi"])
    same(await other.call("send-to", {"cid": bench.user(), "type": "note", "payload": 1}), 0)
    await settled(first, second, other)
    same([other.count("note"), first.count("news"), stranger.received], [0, 1, []])


@two.check("drop-user and drop-client close every device")
async def _(bench: Bench) -> None:
    first, second = await pair(bench)
    same(await bench.observer.call("drop-user", {"cid": first.cid, "reason": "rules"}), 2)
    for client in first, second:
        ended(await client.end(), (1000, "rules"))
    same((await bench.story(first.cid)).count("left"), 1)
    same(await bench.observer.call("drop-user", {"cid": first.cid, "reason": "rules"}), 0)
    for payload, reason in ({"reason": "enough"}, "enough"), ({}, ""):
        first, second = await pair(bench)
        await first.send("drop-client", payload)
        for client in first, second:
            ended(await client.end(), (1000, reason))
        same((await bench.story(first.cid)).count("left"), 1)


one = Group("channel")


@one.check("by default a second device evicts the first")
async def _(bench: Bench) -> None:
    first, second = await pair(bench)
    ended(await first.end(), EVICTED)
    await settled(second)


@one.check("count")
async def _(bench: Bench) -> None:
    client = await bench.client()
    for payload, n in ({"count": 41}, 42), ({"count": -1}, 0), ({}, 1), ({"count": "x"}, 1), (None, 1):
        await client.send("count", payload)
        same(await client.take("count"), {"count": n})


@one.check("record shows any payload unchanged, another type is ignored")
async def _(bench: Bench) -> None:
    client = await bench.client()
    for at, payload in enumerate(["né 😀 \0", [[1], {"a": None}], {"": 1.5}, False, 0, 2**40]):
        await client.send("record", {"at": at, "payload": payload})
        await bench.event(event="message", cid=client.cid, type="record", payload={"at": at, "payload": payload})
    await client.send("größe", {"x": 1})
    await bench.event(event="ignored", cid=client.cid, type="größe", payload={"x": 1})
    same(len(client.received), 1)


@one.check("drop-me")
async def _(bench: Bench) -> None:
    for payload, reason in ({"reason": "as you wish"}, "as you wish"), ({}, "wse.by-server"), (None, "wse.by-server"):
        client = await bench.client()
        await client.send("drop-me", payload)
        ended(await client.end(), (1000, reason))
        same(await bench.story(client.cid), ["joined", "connected", "disconnected", "left"])
        await bench.event(event="left", cid=client.cid, code=1000, reason=reason)


@one.check("a long reason is cut at a character")
async def _(bench: Bench) -> None:
    for reason in "ä" * 100, "x" + "😀" * 60:
        client = await bench.client()
        await client.send("drop-me", {"reason": reason})
        code, said = await client.end()
        assert code == 1000 and reason.startswith(said) and 119 < len(said.encode()) <= 123, said


@one.check("close-me")
async def _(bench: Bench) -> None:
    for code, reason in (
        (1000, "fine"),
        (1011, "oops"),
        (1012, ""),
        (1013, "ä"),
        (3000, "x"),
        (4000, "jump"),
        (4999, "last"),
    ):
        client = await bench.client()
        await client.send("close-me", {"code": code, "reason": reason})
        ended(await client.end(), (code, reason))
        await bench.event(event="left", cid=client.cid, code=code, reason=reason)


@one.check("events tell the true end")
async def _(bench: Bench) -> None:
    client = await bench.client()
    await client.close(4005, "so long")
    await bench.event(event="left", cid=client.cid, code=4005, reason="so long")
    client = await bench.client()
    client.vanish()
    await bench.event(event="left", cid=client.cid, code=1006, reason="")
    raw = await bench.raw_client(cid := bench.user())
    raw.write(frame(CLOSE))
    await raw.end()
    await bench.event(event="left", cid=cid, code=1005, reason="")
    same(await bench.story(cid), ["joined", "connected", "disconnected", "left"])
    events = await bench.observer.call("events")
    same([event["n"] for event in events], list(range(len(events))))
    same(await bench.observer.call("events", {"since": 3}), events[3:])


@one.check("thirty users come and go")
async def _(bench: Bench) -> None:
    clients = await asyncio.gather(*[bench.client() for _ in range(30)])
    await asyncio.gather(*[client.close(4000 + at, "") for at, client in enumerate(clients)])
    for at, client in enumerate(clients):
        await bench.event(event="left", cid=client.cid, code=4000 + at)
        same(await bench.story(client.cid), ["joined", "connected", "disconnected", "left"])


GROUPS = [two, one]
