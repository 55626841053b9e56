"""The load: a few clients in a closed loop.

Every server gets the same bytes: a form with one JPEG in the field `file`. Clients are threads
with a connection each, by the standard library: it takes less of the processor from the servers
than any client with more comfort.

    python load.py PORT PHOTO SIZE CLIENTS SECONDS    # prints the round as JSON
"""

from __future__ import annotations

import http.client
import io
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIZES = {"small": (256, 256), "medium": (512, 512), "large": (1080, 1920)}
"""Height and width; `mixed` is of all three, the large ones once in seven."""

_BOUNDARY = "maskzoo-benchmark"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}", "Accept": "image/png"}
_TIMEOUT_S = 120


@dataclass
class Round:
    """The result of one load.

    Args:
        seconds: from the first request to the last answer.
        latencies: seconds of each answer, in no order.
        failures: answers without a mask.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def images_per_s(self) -> float:
        """Answers in a second."""
        return len(self.latencies) / self.seconds


def make_images(photo: Path) -> dict[str, list[bytes]]:
    """Return JPEG files by size, cut out of one photo, which is mirrored where it is too small."""
    pixels = cv2.imread(str(photo))
    found: dict[str, list[bytes]] = {}
    for name, (height, width) in SIZES.items():
        found[name] = []
        for shift in (0, 50, 100, 150):  # no two files are alike
            below, right = (
                max(0, need + shift - have)
                for need, have in zip((height, width), pixels.shape[:2], strict=True)
            )
            while below or right:
                pixels = np.concatenate([pixels, pixels[::-1]]) if below else pixels
                pixels = np.concatenate([pixels, pixels[:, ::-1]], axis=1) if right else pixels
                below, right = (
                    max(0, need + shift - have)
                    for need, have in zip((height, width), pixels.shape[:2], strict=True)
                )
            part = pixels[shift : shift + height, shift : shift + width]
            found[name].append(
                cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
            )
    found["mixed"] = [*found["small"][:3], *found["medium"][:3], found["large"][0]]
    return found


def form_of(data: bytes) -> bytes:
    """Return the body of a request with that file."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()


def ask(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes]:
    """Send one form; return the status and the answer."""
    connection.request("POST", "/segment", body=body, headers=HEADERS)
    answer = connection.getresponse()
    return answer.status, answer.read()


def mask_of(port: int, data: bytes) -> np.ndarray:
    """Return the label map that the server gives for an image.

    Raises:
        RuntimeError: it gives none.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    status, answer = ask(connection, form_of(data))
    connection.close()
    if status != 200:
        raise RuntimeError(f"answered {status}: {answer[:300]!r}")
    image = Image.open(io.BytesIO(answer))
    if image.mode != "P":
        raise RuntimeError(f"the mask is not an indexed PNG but has mode {image.mode}")
    return np.asarray(image)


def run_load(port: int, images: list[bytes], *, clients: int, seconds: float) -> Round:
    """Let so many clients ask for so long; the last answers are waited for."""
    bodies = [form_of(data) for data in images]
    result, lock = Round(), threading.Lock()
    start = time.perf_counter()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        while (sent := time.perf_counter()) - start < seconds:
            number += 1
            try:
                status, _ = ask(connection, bodies[number % len(bodies)])
            except OSError:
                status = 0
                connection.close()
            with lock:
                if status == 200:
                    result.latencies.append(time.perf_counter() - sent)
                else:
                    result.failures += 1
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.seconds = time.perf_counter() - start
    return result


def main() -> None:
    """Run one load: several processes of clients need more than one interpreter."""
    port, photo, size, clients, seconds = sys.argv[1:]
    images = make_images(Path(photo))[size]
    print(
        json.dumps(
            asdict(run_load(int(port), images, clients=int(clients), seconds=float(seconds)))
        )
    )


if __name__ == "__main__":
    main()
