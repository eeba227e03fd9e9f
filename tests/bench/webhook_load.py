"""The clients of ``bench_webhooks``, in a process of their own: what they cost is not the server's, nor is their pause its delay.

Run by the bench: ``python -m tests.bench.webhook_load PORT rate|paced|siege SECONDS``; the figures go to standard output as JSON.
Rule: plain HTTP over kept connections, with no library between the clock and the socket.
"""

import gc
import hmac
import json
import sys
from hashlib import sha256
from time import perf_counter

import anyio
from anyio.abc import SocketStream

WORKERS = 16
RATE = 100.0
CONNECTIONS, SLOW, HOSTILE_CLIENTS = 1_000, 50, 2
SECRET = b"the hook's own secret"
PROJECT = "5151c2dc-01ed-4492-9741-0500b597661d"
DATA = {"id": PROJECT, "project": PROJECT, "description_html": "x" * 2_000}
BODY = json.dumps({"event": "issue", "action": "updated", "data": DATA}).encode()
HOSTILE = (b"[" * 100_000, b'{"a": NaN, "b": "\\ud800"}', b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}")


def request(body: bytes = BODY) -> bytes:
    signed = hmac.new(SECRET, body, sha256).hexdigest()
    head = (
        f"POST /webhook/plane HTTP/1.1\r\nHost: localhost\r\nX-Plane-Signature: {signed}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def ack(stream: SocketStream, sent: bytes) -> int:
    """Send one webhook and return the status of its answer; raises when the connection ends."""
    await stream.send(sent)
    got = b""
    while b"\r\n\r\n" not in got:
        got += await stream.receive()
    head, _, rest = got.partition(b"\r\n\r\n")
    length = next(int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(rest) < length:
        rest += await stream.receive()
    return int(head[9:12])


async def rate(port: int, seconds: float) -> float:
    """Return how many webhooks a second are acknowledged to clients that each send the next at once."""
    done, sent = 0, request()
    until = perf_counter() + seconds

    async def client() -> None:
        nonlocal done
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            while perf_counter() < until:
                assert await ack(stream, sent) == 200
                done += 1

    async with anyio.create_task_group() as group:
        for _ in range(WORKERS):
            group.start_soon(client)
    return done / seconds


async def paced(port: int, seconds: float) -> list[float]:
    """Send RATE a second whatever the answers do; return the waits in milliseconds, each from when it was due."""
    waits: list[float] = []
    free: list[SocketStream] = []
    sent = request()

    async def one(due: float) -> None:
        stream = free.pop() if free else await anyio.connect_tcp("127.0.0.1", port)
        assert await ack(stream, sent) == 200
        waits.append(1_000 * (perf_counter() - due))
        free.append(stream)

    began = perf_counter()
    async with anyio.create_task_group() as group:
        for number in range(int(seconds * RATE)):
            due = began + number / RATE
            await anyio.sleep(max(0.0, due - perf_counter()))
            group.start_soon(one, due)
    for stream in free:
        await stream.aclose()
    return waits


async def siege(port: int, seconds: float) -> None:
    """Connections that say nothing, bodies that never end, and bodies made to hurt, all at once; says when all are there."""

    async def slow() -> None:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(request().partition(b"\r\n\r\n")[0] + b"\r\n\r\n{")
            await anyio.sleep_forever()

    async def idle() -> None:
        async with await anyio.connect_tcp("127.0.0.1", port):
            await anyio.sleep_forever()

    async def hostile() -> None:
        while True:
            for body in HOSTILE:
                async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                    await ack(stream, request(body))
                await anyio.sleep(0.2)

    async with anyio.create_task_group() as group:
        for task, count in ((idle, CONNECTIONS), (slow, SLOW), (hostile, HOSTILE_CLIENTS)):
            for _ in range(count):
                group.start_soon(task)
        await anyio.sleep(1.0)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await anyio.sleep(seconds)
        group.cancel_scope.cancel()


async def run(port: int, what: str, seconds: float) -> object:
    match what:
        case "rate":
            return await rate(port, seconds)
        case "paced":
            return await paced(port, seconds)
        case "siege":
            await siege(port, seconds)
            return None
        case _:
            raise SystemExit(f"what is {what}?")


if __name__ == "__main__":
    gc.disable()
    sys.stdout.write(json.dumps(anyio.run(run, int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))) + "\n")
