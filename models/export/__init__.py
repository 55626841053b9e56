"""Networks in other runtimes' formats: a wrapper, ONNX, and the proof that nothing changed."""
