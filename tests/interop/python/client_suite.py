"""Checks an interop server from outside, as a Python client sees it.

    python client_suite.py --server PATH --protocol json|cbor|protobuf|custom [--only TEXT]

Every group of checks gets a server of its own, started with the group's flags; some groups run at once. One line
per check, `ok - name` or `not ok - name: why`; the last line is `N passed, M failed`, and tells the exit code.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

from bench import Bench, Check, Group, Server
from checks import auth, calls, malformed, receipts, resume, rooms, users
from client import Client
from wse_codecs import CODECS

GROUPS: list[Group] = [
    group for topic in (auth, users, rooms, receipts, resume, calls, malformed) for group in topic.GROUPS
]
PATIENCE = 15
AT_ONCE = 4

parser = argparse.ArgumentParser()
parser.add_argument("--server", required=True)
parser.add_argument("--protocol", choices=CODECS, default="json")
parser.add_argument("--only", default="")
options = parser.parse_args()
codec = CODECS[options.protocol]

Result = tuple[str, BaseException | None]


async def run_check(check: Check, bench: Bench) -> BaseException | None:
    problem: BaseException | None = None
    try:
        await asyncio.wait_for(check(bench), PATIENCE)
    except Exception as error:  # noqa: BLE001 (any of them is a failed check)
        problem = error
    try:
        bench.tidy()
    except AssertionError as error:
        problem = problem or error
    return problem


async def run_group(group: Group, turn: asyncio.Semaphore) -> list[Result]:
    wanted = [(name, check) for name, check in group.checks if options.only in name]
    if not wanted:
        return []
    async with turn:
        try:
            server = await Server.start(
                options.server, "--addr", "127.0.0.1:0", "--protocol", options.protocol, *group.flags
            )
        except Exception as error:  # noqa: BLE001
            return [(name, error) for name, _ in wanted]
        try:
            bench = Bench(server, options.protocol, codec)
            bench.observer = await Client.connect(server.url, codec, {"user_id": "observer"}, group.solve)
            return [(name, await run_check(check, bench)) for name, check in wanted]
        except Exception as error:  # noqa: BLE001
            return [(name, error) for name, _ in wanted]
        finally:
            await server.stop()


async def main() -> int:
    # Cancelled, every group still stops its server.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    turn = asyncio.Semaphore(AT_ONCE)
    passed = failed = 0
    for running in [asyncio.create_task(run_group(group, turn)) for group in GROUPS]:
        for name, error in await running:
            passed, failed = passed + (error is None), failed + (error is not None)
            why = "" if error is None else f": {type(error).__name__} " + " ".join(str(error).split())
            print(f"{'ok' if error is None else 'not ok'} - {options.protocol}: {name}{why}")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
