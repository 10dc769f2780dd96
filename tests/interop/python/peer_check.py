"""Checks one of the server peers (js/server.mjs, python/server.py) with the Python client.

python peer_check.py --url ws://… --protocol P [--challenge]
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from client import SILENT, CallFailed, Client, Closed
from wse_codecs import CODECS, RESPONSE

parser = argparse.ArgumentParser()
parser.add_argument("--url", required=True)
parser.add_argument("--protocol", choices=CODECS, required=True)
parser.add_argument("--challenge", action="store_true")
options = parser.parse_args()
codec = CODECS[options.protocol]


def solve(quest: Any) -> Any:
    return quest["a"] + quest["b"]


async def connect(meta: Any = None, identity: Any = "valid-secret", solver: Any = solve) -> Client:
    client = await Client.open(options.url, codec)
    await client.greet(identity, meta, solver if options.challenge else None)
    return client


async def fault(call: Any) -> CallFailed:
    try:
        result = await call
    except CallFailed as failed:
        return failed
    raise AssertionError(f"answered with {result!r}")


async def welcome_and_cid() -> None:
    client = await connect({"user_id": 8, "x": [1, None]})
    assert client.welcome == {"hey": "some additional data for the client"}, client.welcome
    assert await client.call("whoami") == {"cid": "8", "meta": {"user_id": 8, "x": [1, None]}}


async def refusal() -> None:
    attempts = [connect(identity="wrong")]
    if options.challenge:
        attempts.append(connect(solver=lambda _: 4))
    for attempt in attempts:
        try:
            await attempt
        except Closed as end:
            assert (end.code, end.reason) == (1000, "wse.not-authorized"), end
        else:
            raise AssertionError("was welcomed")


async def eviction() -> None:
    first = await connect({"user_id": "twice"})
    await connect({"user_id": "twice"})
    assert await first.end() == (1000, "wse.clients-concurrency")


async def calls() -> None:
    client = await connect()
    assert await client.call("add", {"a": 2, "b": 3}) == 5
    for value in [None, 0, -1, 1.5, "né 😀", True, [], {}, {"a": [{"b": None}]}, 2**40]:
        assert await client.call("echo", value) == value, value
    if options.protocol == "cbor":
        assert await client.call("echo", {"deep": b"\x00\xff"}) == {"deep": b"\x00\xff"}
    assert await client.call("nothing") is None


async def faults() -> None:
    client = await connect()
    assert (await fault(client.call("no-such"))).code == "wse.server.rp.not-registered"
    thrown = await fault(client.call("throw", {"x": 1}))
    assert (thrown.code, thrown.fault["message"]) == ("wse.server.rp.failed", "Vanilla error")
    assert (thrown.details["rpc"], thrown.details["payload"]) == ("throw", {"x": 1})
    thrown = await fault(client.call("throw-wse", 1))
    assert (thrown.code, thrown.details) == ("test-err-code", {"fun": 1, "rpc": "throw-wse", "payload": 1})


async def calls_of_the_server() -> None:
    client = await connect()

    async def echo(payload: Any, _: str) -> Any:
        return payload

    async def fail(_: Any, __: str) -> Any:
        raise CallFailed({"code": "mine", "details": {"why": 1}})

    async def silent(_: Any, __: str) -> Any:
        return SILENT

    for name, handler in {"echo": echo, "fail": fail, "silent": silent}.items():
        client.register(name, handler)
    assert await client.call("call-me", {"rp": "echo", "payload": [1]}) == {"ok": [1]}
    err = (await client.call("call-me", {"rp": "fail"}))["err"]
    assert (err["code"], err["details"]) == ("mine", {"why": 1})
    assert (await client.call("call-me", {"rp": "none"}))["err"]["code"] == "wse.server.rp.not-registered"
    err = (await client.call("call-me", {"rp": "silent", "timeout": 50}))["err"]
    assert err["code"] == "wse.client.rp.timeout"


async def late_and_stray_replies() -> None:
    client = await connect()
    late = await fault(client.call("late", {"ms": 60}, patience=0.02))
    assert late.code == "wse.client.rp.timeout"
    await asyncio.sleep(0.08)
    assert client.count(RESPONSE) == 1
    assert await client.call("stray", 5) == 5
    assert await client.call("received") == (5 if options.challenge else 4), "a stray reply was answered"


async def kick_and_vanish() -> None:
    kicked = await fault((await connect()).call("kick", {"code": 4123, "reason": "out"}))
    assert kicked.details["disconnected"] == [4123, "out"], kicked
    gone = await fault((await connect()).call("vanish"))
    assert gone.details["disconnected"][0] == 1006, gone


async def count_and_announce() -> None:
    one, two = await connect(), await connect()
    await one.send("count", {"count": 41})
    assert await one.take("count") == {"count": 42}
    await one.send("announce", {"news": 1})
    assert [await one.take("announce"), await two.take("announce")] == [{"news": 1}] * 2


async def main() -> int:
    checks = [welcome_and_cid, refusal, eviction, calls, faults, calls_of_the_server, late_and_stray_replies,
              kick_and_vanish, count_and_announce]  # fmt: skip
    failed = 0
    for check in checks:
        name = f"{options.protocol}: {check.__name__.replace('_', ' ')}"
        try:
            await check()
            print(f"ok - {name}")
        except Exception as error:  # noqa: BLE001 (any of them is a failed check)
            failed += 1
            print(f"not ok - {name}: {type(error).__name__} {error}")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
