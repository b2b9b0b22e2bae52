"""Runs networks fast: CUDA graphs, ONNX graphs, calls of several threads in one batch, bounded channels."""
