"""The peer of a webhook's acknowledgement: FastAPI under uvicorn (with uvloop and httptools), which keeps nothing.

Run by ``bench_peers`` with the peers' own Python: ``python acks.py SECRET``; prints its port and serves until it is ended. It
does with a body what every receiver must, checks its signature and reads its JSON, and it has no store.
"""

import hmac
import json
import socket
import sys
from hashlib import sha256

import uvicorn  # type: ignore[import-not-found,unused-ignore]
from fastapi import FastAPI, Request, Response  # type: ignore[import-not-found,unused-ignore]


def make_app(secret: bytes) -> FastAPI:
    app = FastAPI()

    @app.post("/webhook/plane")  # type: ignore[untyped-decorator,unused-ignore]
    async def receive(request: Request) -> Response:
        body = await request.body()
        signed = hmac.new(secret, body, sha256).hexdigest()
        if not hmac.compare_digest(signed, request.headers.get("x-plane-signature", "")):
            return Response(status_code=401)
        json.loads(body)
        return Response(status_code=200)

    return app


def main(secret: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(make_app(secret.encode()), access_log=False, log_level="warning")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
