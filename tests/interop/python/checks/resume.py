"""Sessions that outlive their sockets, and those that are not resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bench import REFUSED, VIOLATION, Bench, Group, ended, fault_of, refused, same
from client import PATIENCE, SILENT, Client
from wse_codecs import HI, RESPONSE, SEEN, SESSION, WELCOME

WINDOW = 20_000

long = Group("resume", "--resume", str(WINDOW), "--conn-per-user", "3")
short = Group("resume", "--resume", "300")
small = Group("resume", "--resume", str(WINDOW), "--resume-bytes", "1500")


def resume_of(client: Client, **changes: Any) -> dict[str, Any]:
    """What the greeting says to resume the session of a client."""
    known = {name: client.session[name] for name in ("session", "token")}
    return {**known, "seen": client.seen, **changes}


async def begin(bench: Bench, cid: str | None = None) -> Client:
    """A client with a session that can be resumed."""
    return await bench.client(cid, resume=True)


async def back(bench: Bench, client: Client, cid: str | None = None, **changes: Any) -> Client:
    """The next connection of a client; `changes` are to the greeting's `resume`. It tells at once what it has seen."""
    following = await bench.client(cid or client.cid, resume=resume_of(client, **changes))
    if following.session["outcome"] in ("full", "partial"):
        await following.send(SEEN, following.seen)
    return following


async def until(happened: Callable[[], Any]) -> Any:
    """Waits until this is true, and returns it."""
    async with asyncio.timeout(PATIENCE):
        while not (found := happened()):
            await asyncio.sleep(0.01)
        return found


async def names(bench: Bench, cid: str) -> list[str]:
    """The names of the events of a user so far."""
    return [event["event"] for event in await bench.events(cid)]


async def lose(bench: Bench, client: Client) -> Client:
    """Ends the socket without a close frame, and waits until the server knows. Returns the client."""
    before = (await names(bench, client.cid)).count("suspended")
    client.vanish()
    async with asyncio.timeout(PATIENCE):
        while (await names(bench, client.cid)).count("suspended") == before:
            await asyncio.sleep(0.01)
    return client


def got(client: Client, kind: str = "note") -> list[Any]:
    """The payloads of all messages of this type that have come."""
    return [message[1] for message in client.received if message and message[0] == kind]


async def note(bench: Bench, cid: str, *payloads: Any) -> None:
    for payload in payloads:
        same(await bench.observer.call("send-to", {"cid": cid, "type": "note", "payload": payload}), 1)


def is_full(client: Client, following: Client) -> None:
    same(following.session["outcome"], "full")
    same(following.session["session"], client.session["session"])
    assert following.session["token"] != client.session["token"]


def is_none(client: Client, following: Client, reason: str) -> None:
    said = {name: following.session.get(name) for name in ("outcome", "reason", "seen")}
    same(said, {"outcome": "none", "reason": reason, "seen": 0})
    assert following.session["session"] != client.session["session"]


@long.check("what is said of a new session comes before the welcome")
async def _(bench: Bench) -> None:
    client = await begin(bench)
    same([message[0] for message in client.received], [SESSION, WELCOME])
    said = dict(client.session)
    session, token = said.pop("session"), said.pop("token")
    same(said, {"window": WINDOW, "outcome": "new", "seen": 0})
    assert isinstance(session, str) and isinstance(token, str) and len(token) >= 22
    who = await client.call("whoami")
    same(await client.call("session"), {"conn_id": who["conn_id"], "resumes": 0, "last": None})


@long.check("a client that says nothing of resume sees no difference")
async def _(bench: Bench) -> None:
    for resume in ({}, {"resume": None}, {"resume": False}):
        cid = bench.user()
        raw = await bench.raw()
        raw.write(bench.frame_of(HI, {"identity": "valid-secret", "meta": {"user_id": cid}, **resume}))
        raw.write(bench.frame_of("echo", 1, "st") + bench.frame_of("count", {"count": 1}))
        said = [bench.codec.unpack((await raw.next())[1]) for _ in range(3)]
        same(said[0][0], WELCOME)
        same(said[1:], [(RESPONSE, 1, "st"), ("count", {"count": 2}, None)])
        raw.vanish()
        same(await bench.story(cid), ["joined", "connected", "disconnected", "left"])


@long.check("nothing is lost when a socket is")
async def _(bench: Bench) -> None:
    client = await begin(bench)
    who = await client.call("whoami")
    slow = asyncio.create_task(fault_of(client.call("slow", {"ms": 300}, stamp="slow")))
    same(await client.call("ticks", {"n": 30, "ms": 10}), 30)
    await client.take("tick")
    await lose(bench, client)
    same((await slow).code, "wse.client.rp.disconnect")
    await note(bench, client.cid, "away", 2)
    following = await back(bench, client)
    is_full(client, following)
    answer = await until(lambda: next((each for each in following.received if each[2] == "slow"), None))
    same(answer, (RESPONSE, 1, "slow"))
    ticks = await until(lambda: (all_ := got(client, "tick") + got(following, "tick"))[29:] and all_)
    same(ticks, list(range(1, 31)))
    same(got(following), ["away", 2])
    same(await following.call("session"), {"conn_id": who["conn_id"], "resumes": 1, "last": "full"})
    await following.close(1000)
    same(await bench.story(client.cid), ["joined", "connected", "suspended", "resumed", "disconnected", "left"])
    resumed = await bench.event(event="resumed", cid=client.cid, conn_id=who["conn_id"])
    same((resumed["outcome"], resumed.get("lost")), ("full", None))


@long.check("both sides count")
async def _(bench: Bench) -> None:
    client = await begin(bench)
    for n in range(3):
        await client.send("record", n)
    await client.send("~wse:ping", 1)
    await client.call("echo", 1)
    await client.answer("to nobody")
    await client.call("echo", 2)
    following = await back(bench, await lose(bench, client))
    same((client.seen, following.session["seen"]), (2, 6))
    await note(bench, client.cid, "new")
    await following.take("note")
    same(following.seen, 3)
    again = await back(bench, await lose(bench, following))
    is_full(following, again)


@long.check("only what was not processed comes again")
async def _(bench: Bench) -> None:
    client = await begin(bench)
    await note(bench, client.cid, *range(5))
    await until(lambda: client.seen == 5)
    following = await back(bench, await lose(bench, client), seen=3)
    is_full(client, following)
    await note(bench, client.cid, "new")
    await until(lambda: "new" in got(following))
    same(got(following), [3, 4, "new"])


@long.check("the server calls a client that is away")
async def _(bench: Bench) -> None:
    client = await lose(bench, await begin(bench))
    asked = asyncio.create_task(
        bench.observer.call("call-user", {"cid": client.cid, "rp": "ask", "payload": 1})
    )
    await asyncio.sleep(0.05)
    following = await bench.stranger(resume=resume_of(client))
    stamps = asyncio.get_running_loop().create_future()

    async def ask(_: Any, stamp: str) -> Any:
        stamps.set_result(stamp)
        return SILENT

    following.register("ask", ask)
    await following.greet("valid-secret", {"user_id": client.cid})
    await following.answer(await asyncio.wait_for(stamps, PATIENCE), 2)
    same(await asked, {"ok": 2})


@long.check("a socket that is still open is taken over")
async def _(bench: Bench) -> None:
    client = await begin(bench)
    following = await back(bench, client)
    is_full(client, following)
    ended(await client.end(), (1000, "wse.session-taken"))
    await note(bench, client.cid, 1)
    same(await following.take("note"), 1)
    same(await names(bench, client.cid), ["joined", "connected", "resumed"])


@long.check("an old token, a forged one, and that of another user")
async def _(bench: Bench) -> None:
    client = await begin(bench)
    following = await back(bench, await lose(bench, client))
    await following.call("echo", 1)
    await lose(bench, following)
    for token in (client.session["token"], "A" * 22, ""):
        other = await back(bench, following, token=token)
        is_none(client, other, "token")
        await other.close()
    thief = await back(bench, following, cid=bench.user())
    is_none(client, thief, "user")
    same((await thief.call("session"))["last"], "none")
    is_none(client, await back(bench, following, session="never"), "unknown")
    is_full(following, await back(bench, following))


@long.check("a wrong greeting closes the socket and leaves the session")
async def _(bench: Bench) -> None:
    client = await lose(bench, await begin(bench))
    wrong = [resume_of(client, seen=seen) for seen in (1, -1, 0.5, "0", None, True)]
    for resume in [*wrong, 1, "yes", [], {}, {"session": client.session["session"]}]:
        other = await bench.stranger(resume=resume)
        await refused(other.greet("valid-secret", {"user_id": client.cid}), VIOLATION)
        same(other.received, [])
    other = await bench.stranger(resume=resume_of(client))
    await refused(other.greet("wrong", {"user_id": client.cid}), REFUSED)
    same(other.received, [])
    is_full(client, await back(bench, client))


@long.check("a wrong seen in band ends the session")
async def _(bench: Bench) -> None:
    for seen in (1, -1, "0", None):
        client = await begin(bench)
        await client.send(SEEN, seen)
        ended(await client.end(), VIOLATION)
        story = [event for event in await bench.story(client.cid) if event != "error"]
        same(story, ["joined", "connected", "disconnected", "left"])
        is_none(client, await back(bench, client), "unknown")


@long.check("how a client closes")
async def _(bench: Bench) -> None:
    for code in 1000, 1001, 3000:
        client = await begin(bench)
        await client.close(code)
        same(await bench.story(client.cid), ["joined", "connected", "disconnected", "left"])
        is_none(client, await back(bench, client), "unknown")
    for code in 1011, 1012, 4000:
        client = await begin(bench)
        await client.close(code)
        await bench.event(event="suspended", cid=client.cid)
        is_full(client, await back(bench, client))


@short.check("after the window the session is gone")
async def _(bench: Bench) -> None:
    client = await begin(bench)
    who = await client.call("whoami")
    await client.call("join", {"room": client.cid})
    await lose(bench, client)
    story = ["joined", "connected", "entered", "suspended", "exited", "disconnected", "left"]
    same(await bench.story(client.cid), story)
    following = await back(bench, client)
    is_none(client, following, "expired")
    session = await following.call("session")
    assert session["conn_id"] != who["conn_id"]
    same((session["resumes"], session["last"]), (0, "none"))


@small.check("too much for the ring is a gap")
async def _(bench: Bench) -> None:
    client = await lose(bench, await begin(bench))
    await note(bench, client.cid, *({"n": n, "text": "x" * 100} for n in range(1, 41)))
    following = await back(bench, client)
    same(following.session["outcome"], "partial")
    first, last = following.session["lost"]
    same(first, 1)
    await note(bench, client.cid, {"n": 41})
    await until(lambda: got(following)[-1:] == [{"n": 41}])
    same([payload["n"] for payload in got(following)], list(range(last + 1, 42)))
    assert 40 - 15 < last < 40 - 5, f"{40 - last} messages were kept"
    same((await bench.event(event="resumed", cid=client.cid))["lost"], [first, last])
    same((await following.call("session"))["last"], "partial")


GROUPS = [long, short, small]
