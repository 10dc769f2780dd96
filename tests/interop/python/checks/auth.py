"""Upgrade, greeting, refusal, challenge, and what `meta` makes the server do."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench import REFUSED, VIOLATION, Bench, Group, ended, refused, same
from wse_codecs import CHALLENGE, HI, WELCOME

HEY = {"hey": "some additional data for the client"}

greeting = Group("greeting", "--conn-per-user", "2")


@greeting.check("a good greeting is welcomed with the payload")
async def _(bench: Bench) -> None:
    client = await bench.client()
    same(client.welcome, HEY)
    same(client.socket.subprotocol, bench.codec.name)


@greeting.check("the subprotocol is selected among others")
async def _(bench: Bench) -> None:
    client = await bench.client(offer=["chat", bench.codec.name, "other"])
    same(client.socket.subprotocol, bench.codec.name)


@greeting.check("no subprotocol, or another, is turned away")
async def _(bench: Bench) -> None:
    for offer in [], ["something-else"]:
        raw = await bench.raw(offer)
        if raw.status == 101:
            assert "sec-websocket-protocol" not in raw.headers, raw.headers
            ended(await raw.end(), VIOLATION)
        else:
            assert raw.status == 0 or raw.status >= 400, raw.status
        await bench.served()


@greeting.check("another identity is refused and never joins")
async def _(bench: Bench) -> None:
    cid = bench.user()
    for identity in "wrong", "", "valid-secret ":
        await refused(bench.client(cid, identity=identity), REFUSED)
    for identity in 5, ["valid-secret"], {"a": 1}:
        await refused(bench.client(cid, identity=identity), REFUSED, VIOLATION)
    await bench.nobody(cid)


@greeting.check("cid is user_id as text, or counted")
async def _(bench: Bench) -> None:
    expected: list[tuple[Any, str | None]] = [
        ({"user_id": "né 😀"}, "né 😀"),
        ({"user_id": 90210}, "90210"),
        ({}, None),
        (None, None),
    ]
    for meta, cid in expected:
        client = await bench.stranger()
        await client.greet("valid-secret", meta)
        who = await client.call("whoami")
        assert who["cid"] == cid if cid else who["cid"].startswith("user-"), who
        same([who["meta"], who["identity"]], [meta or {}, "valid-secret"])
        same((await bench.event(event="joined", cid=who["cid"]))["meta"], meta or {})
        same((await bench.event(event="connected", cid=who["cid"]))["conn_id"], who["conn_id"])


@greeting.check("auth_delay holds the welcome back")
async def _(bench: Bench) -> None:
    start = time.monotonic()
    await bench.client(meta={"auth_delay": 120})
    assert time.monotonic() - start > 0.115


@greeting.check("who leaves during auth_delay never joins")
async def _(bench: Bench) -> None:
    cids = [bench.user(), bench.user()]
    clients = [await bench.stranger() for _ in cids]
    for client, cid in zip(clients, cids, strict=True):
        await client.send(HI, {"identity": "valid-secret", "meta": {"user_id": cid, "auth_delay": 400}})
    await asyncio.sleep(0.03)
    clients[0].vanish()
    await clients[1].close(1000, "never mind")
    await asyncio.sleep(0.5)
    for cid in cids:
        await bench.nobody(cid)


@greeting.check("greet comes right behind the welcome")
async def _(bench: Bench) -> None:
    client = await bench.client(meta={"greet": {"type": "greeting", "payload": [1, "x"]}})
    same(await client.take("greeting"), [1, "x"])
    same([message[0] for message in client.received], [WELCOME, "greeting"])


@greeting.check("drop_on_join drops after the welcome")
async def _(bench: Bench) -> None:
    client = await bench.client(meta={"drop_on_join": "not today"})
    ended(await client.end(), (1000, "not today"))
    story = await bench.story(client.cid)
    same([story[0], *story[-2:]], ["joined", "disconnected", "left"])


@greeting.check("call_on_connect records answer and failure")
async def _(bench: Bench) -> None:
    async def name(payload: Any, _: str) -> Any:
        return {"name": payload}

    client = await bench.stranger()
    client.register("name", name)
    cid = bench.user()
    await client.greet("valid-secret", {"user_id": cid, "call_on_connect": {"rp": "name", "payload": 5}})
    same((await bench.event(event="called", cid=cid))["ok"], {"name": 5})
    other = await bench.client(meta={"call_on_connect": {"rp": "no-such"}})
    same((await bench.event(event="called", cid=other.cid))["err"]["code"], "wse.server.rp.not-registered")


def add(quest: Any) -> Any:
    return quest["a"] + quest["b"]


challenge = Group("challenge", "--challenge", solve=add)


async def challenged(bench: Bench, cid: str) -> Any:
    client = await bench.stranger()
    await client.send(HI, {"identity": "valid-secret", "meta": {"user_id": cid, "tv": True}})
    same(await client.take(CHALLENGE), {"a": 1, "b": 2})
    return client


@challenge.check("the right answer is welcomed, and joined has the greeting's meta")
async def _(bench: Bench) -> None:
    client = await challenged(bench, cid := bench.user())
    await client.send(CHALLENGE, 3)
    same(await client.take(WELCOME), HEY)
    same((await bench.event(event="joined", cid=cid))["meta"], {"user_id": cid, "tv": True})


@challenge.check("any other answer is refused, and there is one try")
async def _(bench: Bench) -> None:
    for answer in 4, "3", None, {"a": 3}, [3]:
        client = await challenged(bench, cid := bench.user())
        await client.send(CHALLENGE, answer)
        await client.send(CHALLENGE, 3)
        ended(await client.end(), REFUSED)
        await bench.nobody(cid)


@challenge.check("refuse-me is refused without a quest")
async def _(bench: Bench) -> None:
    client = await bench.stranger()
    await client.send(HI, {"identity": "refuse-me", "meta": {}})
    ended(await client.end(), REFUSED)
    same(client.received, [])


@challenge.check("any other message during the challenge ends it")
async def _(bench: Bench) -> None:
    for kind, payload, stamp in (
        ("count", None, None),
        ("add", {"a": 1, "b": 2}, "s"),
        (HI, {"identity": "valid-secret"}, None),
    ):
        client = await challenged(bench, cid := bench.user())
        await client.raw(bench.codec.pack(kind, payload, stamp))
        await client.send(CHALLENGE, 3)
        ended(await client.end(), VIOLATION)
        await bench.nobody(cid)
        await bench.served()


deadline = Group("auth-timeout", "--auth-timeout", "0.5")


@deadline.check("who does not greet in time is refused, who did stays")
async def _(bench: Bench) -> None:
    client, stranger = await bench.client(), await bench.stranger()
    ended(await stranger.end(), REFUSED)
    same(await client.call("add", {"a": 1, "b": 2}), 3)


welcome = Group("welcome", "--welcome", '{"list":[1,2.5,null]}')


@welcome.check("the payload given by --welcome")
async def _(bench: Bench) -> None:
    same((await bench.client()).welcome, {"list": [1, 2.5, None]})


GROUPS = [greeting, challenge, deadline, welcome]
