"""Export to other runtimes: a wrapper, ONNX, and parity checks."""
