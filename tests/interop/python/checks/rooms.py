"""Rooms: who is in them, what their members get, and the events about them."""

from __future__ import annotations

from bench import Bench, Group, fault_of, same
from client import Client

three = Group("rooms", "--conn-per-user", "3")


async def party(bench: Bench, *cids: str) -> tuple[str, list[Client]]:
    """A room that no other check uses, and clients in it."""
    room, clients = f"room of {bench.user()}", []
    for cid in cids:
        clients.append(await bench.client(cid))
        same(await clients[-1].call("join", {"room": room}), len(clients))
    return room, clients


async def settled(*clients: Client) -> None:
    """All that was sent to the clients before has come once this is answered."""
    for client in clients:
        await client.call("add", {"a": 1, "b": 1})


@three.check("join, leave, rooms and members")
async def _(bench: Bench) -> None:
    ann, bob = sorted([bench.user(), bench.user()])
    room, (first, second, third) = await party(bench, ann, ann, bob)
    same(await first.call("join", {"room": room}), 3)
    same(await third.call("members", {"room": room}), [{"cid": ann, "conns": 2}, {"cid": bob, "conns": 1}])
    for name in "zaä":
        await first.call("join", {"room": f"{room} {name}"})
    same(await first.call("rooms"), [room, f"{room} a", f"{room} z", f"{room} ä"])
    same([await first.call("leave", {"room": room}), await first.call("leave", {"room": room})], [2, 2])
    same(await second.call("members", {"room": room}), [{"cid": ann, "conns": 1}, {"cid": bob, "conns": 1}])
    same([await second.call("leave", {"room": room}), await third.call("leave", {"room": room})], [1, 0])
    same(await third.call("members", {"room": room}), [])


@three.check("room-send reaches the members only")
async def _(bench: Bench) -> None:
    room, (first, second) = await party(bench, bench.user(), bench.user())
    outside = await bench.client()
    payload = {"text": "hi", "list": [1, None]}
    same(await outside.call("room-send", {"room": room, "type": "said", "payload": payload}), 2)
    same([await first.take("said"), await second.take("said")], [payload, payload])
    same(await first.call("room-send", {"room": room, "type": "said", "payload": 2, "except": True}), 1)
    same(await second.take("said"), 2)
    await settled(first, second, outside)
    same([first.count("said"), second.count("said"), outside.count("said")], [1, 2, 0])
    same(await first.call("room-send", {"room": f"{room} 2", "type": "said", "payload": 3}), 0)


@three.check("exited comes before disconnected, however a connection ends")
async def _(bench: Bench) -> None:
    for vanishes in False, True:
        room, (leaving, staying) = await party(bench, bench.user(), bench.user())
        leaving.vanish() if vanishes else await leaving.close()
        story = ["joined", "connected", "entered", "exited", "disconnected", "left"]
        same(await bench.story(leaving.cid), story)
        exited = await bench.event(event="exited", cid=leaving.cid)
        same(exited["room"], room)
        same(await staying.call("members", {"room": room}), [{"cid": staying.cid, "conns": 1}])


@three.check("an evicted connection leaves its rooms")
async def _(bench: Bench) -> None:
    cid = bench.user()
    room, (first, *others) = await party(bench, cid, cid, cid)
    await bench.client(cid)
    await first.end()
    same(await others[0].call("members", {"room": room}), [{"cid": cid, "conns": 2}])
    events = [event["event"] for event in await bench.events(cid)]
    same(events[-3:], ["exited", "disconnected", "connected"])


@three.check("a room too many, and a name too long")
async def _(bench: Bench) -> None:
    client = await bench.client()
    room = f"room of {bench.user()}"
    failed = await fault_of(client.call("join", {"room": "x" * 129}))
    same(failed.code, "wse.server.rp.failed")
    for n in range(64):
        await client.call("join", {"room": f"{room} {n}"})
    failed = await fault_of(client.call("join", {"room": room}))
    same(failed.code, "wse.server.rp.failed")
    same(len(await client.call("rooms")), 64)


@three.check("ticks come in order, after the answer")
async def _(bench: Bench) -> None:
    client = await bench.client()
    same(await client.call("ticks", {"n": 10, "ms": 1}), 10)
    same([await client.take("tick") for _ in range(10)], list(range(1, 11)))


GROUPS = [three]
