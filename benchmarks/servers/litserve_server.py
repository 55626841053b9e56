"""LitServe, with its batching: https://lightning.ai/docs/litserve/features/batching."""

import litserve
import numpy as np
from fastapi import Request, Response
from handler import BATCH, BATCH_WAIT_S, DEVICE, PORT, WORKERS, Handler
from torch import Tensor


class SegmentApi(litserve.LitAPI):
    """Decodes, runs a batch, encodes."""

    def setup(self, device: str) -> None:
        """Load the network, once in each worker."""
        self.handler = Handler()

    def decode_request(self, request: Request) -> Tensor:
        """Return one image."""
        upload = request["file"]  # LitServe gives the form that it has read
        return self.handler.decode(upload.file.read())

    def batch(self, inputs: list[Tensor]) -> list[Tensor]:
        """Keep a list: images of several sizes do not stack."""
        return inputs

    def predict(self, inputs: list[Tensor] | Tensor) -> list[np.ndarray] | np.ndarray:
        """Return the masks of a batch; without batching, of the one image."""
        if isinstance(inputs, list):
            return self.handler.run(inputs)
        return self.handler.run([inputs])[0]

    def unbatch(self, output: list[np.ndarray]) -> list[np.ndarray]:
        """Return the masks one by one."""
        return output

    def encode_response(self, output: np.ndarray) -> Response:
        """Answer with a PNG."""
        return Response(self.handler.encode(output), media_type="image/png")


if __name__ == "__main__":
    api = SegmentApi(max_batch_size=BATCH, batch_timeout=BATCH_WAIT_S, api_path="/segment")
    server = litserve.LitServer(api, accelerator=DEVICE, workers_per_device=WORKERS, timeout=120)
    server.run(port=PORT, generate_client_file=False, log_level="warning")
