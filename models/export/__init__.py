"""Export to other runtimes: a wrapper, ONNX, and the engines' own formats."""
