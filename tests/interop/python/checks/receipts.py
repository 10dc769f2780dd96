"""Receipts of each device of a user, and messages that are sent until one of them has given a receipt."""

from __future__ import annotations

import asyncio
from typing import Any

from bench import Bench, Group, same
from raw import RawSocket
from wse_codecs import HI, NOTE, RECEIPT, WANTS, WELCOME

four = Group("receipts", "--conn-per-user", "4")


async def mute(bench: Bench, cid: str) -> RawSocket:
    """A client written by hand that says that it gives receipts, and gives none by itself."""
    raw = await bench.raw()
    raw.write(bench.frame_of(HI, {"identity": "valid-secret", "meta": {"user_id": cid}}, None, WANTS))
    got = await raw.next()
    assert got and bench.codec.unpack(got[1])[0] == WELCOME, got
    return raw


def ask(bench: Bench, procedure: str, cid: str, payload: Any, timeout: float) -> asyncio.Task[Any]:
    request = {"cid": cid, "type": "order", "payload": payload, "timeout": timeout}
    return asyncio.create_task(bench.observer.call(procedure, request))


@four.check("each device has an outcome, oldest first")
async def _(bench: Bench) -> None:
    cid = bench.user()
    first = await bench.client(cid, receipts=True)
    await mute(bench, cid)
    older = await bench.client(cid)
    leaving = await mute(bench, cid)
    acked = ask(bench, "acked", cid, {"no": 7}, 0.4)
    got = await leaving.next()
    assert got and bench.codec.unpack(got[1])[:2] == ("order", {"no": 7}), got
    leaving.vanish()
    report = await acked
    same([it["outcome"] for it in report], ["received", "timed-out", "unsupported", "disconnected"])
    same(report[0]["conn_id"], (await first.call("whoami"))["conn_id"])
    same([await first.take("order"), older.count("order")], [{"no": 7}, 0])


@four.check("a receipt names the stamp of the message")
async def _(bench: Bench) -> None:
    cid = bench.user()
    raw = await mute(bench, cid)
    acked = ask(bench, "acked", cid, None, 3)
    got = await raw.next()
    assert got
    kind, _, stamp = bench.codec.unpack(got[1])
    same([kind, bench.codec.flags(got[1])], ["order", WANTS | NOTE])
    raw.write(bench.frame_of(RECEIPT, None, stamp, NOTE))
    same([it["outcome"] for it in await acked], ["received"])


@four.check("reliable: delivered, undelivered at once, and undelivered in the end")
async def _(bench: Bench) -> None:
    cid = bench.user()
    sending = ask(bench, "reliable", cid, ["bread"], 3)
    event = await bench.event(event="undelivered", cid=cid)
    same([event["type"], event["payload"]], ["order", ["bread"]])
    client = await bench.client(cid, receipts=True)
    same([await client.take("order"), await sending], [["bread"], {"delivered": True}])
    same(await ask(bench, "reliable", cid, 2, 3), {"delivered": True})
    same(await client.take("order"), 2)
    cid = bench.user()
    await mute(bench, cid)
    same(await ask(bench, "reliable", cid, 3, 0.3), {"delivered": False})
    await bench.event(event="undelivered", cid=cid, type="order", payload=3)
    same([event["event"] for event in await bench.events(cid)].count("undelivered"), 1)


GROUPS = [four]
