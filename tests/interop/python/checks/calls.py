"""Procedures of the server and of the client, faults, time limits, and replies that nobody waits for."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench import Bench, Group, ended, fault_of, same
from client import SILENT, CallFailed, Client

FAILED = "wse.server.rp.failed"
LIMIT = 0.7

calls = Group("calls")


@calls.check("add adds, and refuses what is no number")
async def _(bench: Bench) -> None:
    client = await bench.client()
    for a, b in (1, 2), (-5, 5), (0.5, 0.25), (2**40, 1):
        same(await client.call("add", {"a": a, "b": b}), a + b)
    for payload in {"a": 1, "b": "x"}, {"a": 1}, [1, 2]:
        failed = await fault_of(client.call("add", payload))
        same([failed.code, failed.details["rpc"], failed.details["payload"]], [FAILED, "add", payload])
        assert isinstance(failed.details["origin"]["message"], str), failed


@calls.check("echo returns any value unchanged")
async def _(bench: Bench) -> None:
    client = await bench.client()
    values: list[Any] = [
        None,
        True,
        False,
        0,
        1,
        -1,
        24,
        255,
        65536,
        -(2**31),
        2**53 - 1,
        0.1,
        -1e300,
        "",
        'né 😀 \0"\\',
        [],
        {},
    ]
    values += [[1, [2, [None]]], {"": {"ä": [False]}}, "y" * 70_000, list(range(1000))]
    if bench.protocol == "cbor":
        values += [b"", b"\x00\xff", {"deep": [b"\x80" * 300]}, 2**63, -(2**63)]
    for value in values:
        same(await client.call("echo", value), value)


@calls.check("nothing, double and slow")
async def _(bench: Bench) -> None:
    client = await bench.client()
    same(await client.call("nothing"), None)
    start = time.monotonic()
    same(await client.call("double", {"value": 21}), 42)
    assert time.monotonic() - start > 0.095
    slow = asyncio.create_task(client.call("slow", {"ms": 250}))
    await asyncio.sleep(0.01)
    same(await client.call("add", {"a": 1, "b": 2}), 3)
    assert not slow.done(), "the slow call was answered first"
    same(await slow, 1)


@calls.check("a hundred calls at once all get their own answer")
async def _(bench: Bench) -> None:
    client = await bench.client()
    answers = await asyncio.gather(*[client.call("double", {"value": n}) for n in range(100)])
    same(answers, [2 * n for n in range(100)])


@calls.check("faults")
async def _(bench: Bench) -> None:
    client = await bench.client()
    failed = await fault_of(client.call("throw-vanilla", {"x": 1}))
    same([failed.code, failed.details["origin"]["message"]], [FAILED, "Vanilla error"])
    same([failed.details["rpc"], failed.details["payload"]], ["throw-vanilla", {"x": 1}])
    failed = await fault_of(client.call("throw-custom", "why"))
    same([failed.code, failed.details["test_field"], failed.details["payload"]], [FAILED, "nope", "why"])
    failed = await fault_of(client.call("throw-wse", [0]))
    same([failed.code, failed.details["fun"], failed.details["rpc"]], ["test-err-code", 1, "throw-wse"])
    failed = await fault_of(client.call("throw-custom"))
    assert "payload" not in failed.details, failed
    failed = await fault_of(client.call("no-such", 1))
    same(failed.code, "wse.server.rp.not-registered")
    await bench.event(event="error", cid=client.cid, code=FAILED)


@calls.check("any text is a stamp")
async def _(bench: Bench) -> None:
    client = await bench.client()
    for stamp in "1", 'a"b\\c', "né 😀", "s" * 500:
        same(await client.call("echo", 5, stamp=stamp), 5)


@calls.check("drop-during-call drops, and its result goes nowhere")
async def _(bench: Bench) -> None:
    for payload, reason in ({"reason": "mid-call"}, "mid-call"), ({}, "wse.by-server"):
        client = await bench.client()
        failed = await fault_of(client.call("drop-during-call", payload))
        same(failed.details["disconnected"], [1000, reason])
        ended(await client.end(), (1000, reason))
        await asyncio.sleep(0.22)
        await bench.served()


both = Group("both ways", "--call-timeout", str(LIMIT))


def serve(client: Client, **handlers: Any) -> None:
    for name, handler in handlers.items():
        client.register(name, handler)


async def silent(_: Any, __: str) -> Any:
    return SILENT


@both.check("the client answers, with a value or a fault")
async def _(bench: Bench) -> None:
    client = await bench.client()

    async def echo(payload: Any, _: str) -> Any:
        return payload

    async def fail(_: Any, __: str) -> Any:
        raise CallFailed({"code": "mine", "message": "no", "details": {"why": [1]}})

    async def ask_back(payload: Any, _: str) -> Any:
        return 1 + await client.call("add", payload)

    serve(client, echo=echo, fail=fail, ask=ask_back)
    for payload in None, 0, "né", [1, None], {"a": {"b": []}}:
        same(await client.call("call-me", {"rp": "echo", "payload": payload}), {"ok": payload})
    err = (await client.call("call-me", {"rp": "fail"}))["err"]
    same([err["code"], err["details"]["why"]], ["mine", [1]])
    same((await client.call("call-me", {"rp": "none"}))["err"]["code"], "wse.server.rp.not-registered")
    same(await client.call("call-me", {"rp": "ask", "payload": {"a": 2, "b": 3}}), {"ok": 6})


@both.check("call-user calls the other user, or nobody")
async def _(bench: Bench) -> None:
    caller, called = await bench.client(), await bench.client()

    async def who(payload: Any, _: str) -> Any:
        return ["me", payload]

    serve(called, who=who)
    same(await caller.call("call-user", {"cid": called.cid, "rp": "who", "payload": 5}), {"ok": ["me", 5]})
    missing = await caller.call("call-user", {"cid": bench.user(), "rp": "who"})
    same(missing["err"]["code"], "wse.server.client.connection-missing")


@both.check("no answer in time fails the call, and the late one is dropped")
async def _(bench: Bench) -> None:
    client = await bench.client()
    stamps = []

    async def remember(_: Any, stamp: str) -> Any:
        stamps.append(stamp)
        return SILENT

    serve(client, remember=remember)
    start = time.monotonic()
    same((await client.call("call-me", {"rp": "remember"}))["err"]["code"], "wse.client.rp.timeout")
    assert LIMIT - 0.02 <= time.monotonic() - start < LIMIT + 0.8
    before = len(client.received)
    await client.answer(stamps[0], "late")
    await client.refuse(stamps[0], {"code": "late"})
    for n in range(100):
        await client.answer(f"unknown-{n}", n)
        await client.refuse(f"unknown-{n}", {"code": "x"})
    same(await client.call("add", {"a": 1, "b": 2}), 3)
    await asyncio.sleep(0.05)
    same(len(client.received), before + 1)


@both.check("only the connection that was called can answer")
async def _(bench: Bench) -> None:
    caller, called, thief = await bench.client(), await bench.client(), await bench.client()

    async def honest(_: Any, stamp: str) -> Any:
        await thief.answer(stamp, "forged")
        await thief.call("add", {"a": 1, "b": 1})
        return "true"

    serve(called, honest=honest)
    same(await caller.call("call-user", {"cid": called.cid, "rp": "honest"}), {"ok": "true"})


@both.check("a call to a client that goes fails at once with code and reason")
async def _(bench: Bench) -> None:
    for leave, end in ("close", [4321, "had to go"]), ("vanish", [1006, ""]):
        caller, called = await bench.client(), await bench.client()

        async def go(_: Any, __: str, leave: str = leave, called: Client = called) -> Any:
            if leave == "close":
                await called.close(4321, "had to go")
            else:
                called.vanish()
            return SILENT

        serve(called, go=go)
        start = time.monotonic()
        err = (await caller.call("call-user", {"cid": called.cid, "rp": "go"}))["err"]
        assert time.monotonic() - start < LIMIT - 0.05, "it waited for the time limit"
        same([err["code"], err["details"]["disconnected"]], ["wse.client.rp.disconnect", end])


@both.check("a call that is never answered holds up nothing")
async def _(bench: Bench) -> None:
    client = await bench.client()
    serve(client, silent=silent)
    waiting = asyncio.create_task(client.call("call-me", {"rp": "silent"}))
    await asyncio.sleep(0.01)
    same(await client.call("add", {"a": 1, "b": 2}), 3)
    assert not waiting.done()
    same((await waiting)["err"]["code"], "wse.client.rp.timeout")


GROUPS = [calls, both]
