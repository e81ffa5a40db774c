"""The gradient of one class's score with respect to the map, through the BiLSTM head, in NumPy.

Serving explains its answers with it: a process that computes the exported graph need not import PyTorch, half
a gigabyte, for the small part of the network that Grad-CAM differentiates. ``model.explain`` is the
reference, and a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

Array = NDArray[np.float32]
EPSILON = 1e-5
"""Of the layer norm, as in PyTorch."""


class _Scan(NamedTuple):
    """What one direction of one layer computed, each (N, H), in the order of its steps."""

    i: Array
    f: Array
    g: Array
    o: Array
    cells: Array
    outputs: Array


class BiLSTMGradient:
    """``model.heads.BiLSTMHead`` in eval mode, differentiated by hand.

    Args:
        weights: a checkpoint's safetensors file.
    """

    def __init__(self, weights: Path) -> None:
        with safe_open(weights, framework="numpy") as file:
            self._weights = {
                name.removeprefix("head."): file.get_tensor(name).astype(np.float32)
                for name in file.keys()  # noqa: SIM118 (it is no dict)
                if name.startswith("head.")
            }

    def __call__(self, features: Array, class_index: int) -> Array:
        """The gradient of a class's logit, (1, C, h, w), of the map (1, C, h, w)."""
        channels = features.shape[1]
        tokens = features.reshape(channels, -1).T  # (N, C)
        centred = tokens - tokens.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + EPSILON)
        normal = centred / deviation
        inputs, scans = normal * self._weights["norm.weight"] + self._weights["norm.bias"], []
        for layer in (0, 1):
            forward = self._scan(inputs, f"l{layer}")
            backward = self._scan(inputs[::-1], f"l{layer}_reverse")
            scans.append((forward, backward))
            inputs = np.concatenate([forward.outputs, backward.outputs[::-1]], axis=1)  # (N, 2 H)
        # The head averages the outputs over the tokens before its classifier.
        slope = np.tile(self._weights["classifier.weight"][class_index] / len(tokens), (len(tokens), 1))
        for layer in (1, 0):
            forward, backward = scans[layer]
            ahead, behind = np.split(slope, 2, axis=1)
            slope = self._back(ahead, forward, f"l{layer}")
            slope += self._back(behind[::-1], backward, f"l{layer}_reverse")[::-1]
        slope = slope * self._weights["norm.weight"]
        along = (slope * normal).mean(axis=1, keepdims=True)
        slope = (slope - slope.mean(axis=1, keepdims=True) - normal * along) / deviation
        return np.ascontiguousarray(slope.T).reshape(features.shape)

    def _scan(self, inputs: Array, part: str) -> _Scan:
        """One direction of one layer over the tokens (N, C)."""
        recurrent = np.ascontiguousarray(self._weights[f"lstm.weight_hh_{part}"].T)
        bias = self._weights[f"lstm.bias_ih_{part}"] + self._weights[f"lstm.bias_hh_{part}"]
        driven = inputs @ self._weights[f"lstm.weight_ih_{part}"].T + bias  # (N, 4 H)
        width = recurrent.shape[0]
        output, cell = np.zeros(width, np.float32), np.zeros(width, np.float32)
        steps = []
        for row in driven:
            i, f, g, o = np.split(row + output @ recurrent, 4)
            i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
            cell = f * cell + i * g
            output = o * np.tanh(cell)
            steps.append((i, f, g, o, cell, output))
        return _Scan(*(np.stack(values) for values in zip(*steps, strict=True)))

    def _back(self, slope: Array, scan: _Scan, part: str) -> Array:
        """The slope at a scan's outputs, (N, H), carried back to its inputs, (N, C)."""
        recurrent = self._weights[f"lstm.weight_hh_{part}"]
        before = np.concatenate([np.zeros_like(scan.cells[:1]), scan.cells[:-1]])
        squashed = np.tanh(scan.cells)
        gates = np.empty((len(slope), 4 * slope.shape[1]), np.float32)
        from_next, cell_slope = np.zeros_like(slope[0]), np.zeros_like(slope[0])
        for step in range(len(slope) - 1, -1, -1):
            i, f, g, o = scan.i[step], scan.f[step], scan.g[step], scan.o[step]
            here = slope[step] + from_next
            cell_slope = cell_slope + here * o * (1 - squashed[step] ** 2)
            gates[step] = np.concatenate(
                [
                    cell_slope * g * i * (1 - i),
                    cell_slope * before[step] * f * (1 - f),
                    cell_slope * i * (1 - g**2),
                    here * squashed[step] * o * (1 - o),
                ]
            )
            cell_slope = cell_slope * f
            from_next = gates[step] @ recurrent
        return gates @ self._weights[f"lstm.weight_ih_{part}"]


def _sigmoid(values: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * values))
