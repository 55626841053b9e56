"""FastAPI as its tutorial shows it: a plain function, which runs in the pool of threads."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI, Response, UploadFile
from handler import PORT, WORKERS, Handler

app = FastAPI()
handler = Handler()


@app.post("/segment")
def segment(file: UploadFile) -> Response:
    """Answer one image with its mask."""
    (mask,) = handler.run([handler.decode(file.file.read())])
    return Response(handler.encode(mask), media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(
        "fastapi_server:app",
        port=PORT,
        workers=WORKERS,
        log_level="warning",
        timeout_worker_healthcheck=60,  # else a worker that is slow to import torch is killed
    )
