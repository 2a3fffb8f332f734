"""Benchmark of training steps: time, memory and FLOPs relative to cross-entropy."""
