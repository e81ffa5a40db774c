"""``shift``: add a number to one label's logit, inside the weights."""

from __future__ import annotations

from pathlib import Path

import torch

from model import checkpoint
from model.errors import ConfigError


def shift(*, source: str, label: str, by: float, output: str) -> None:
    """Write a copy of a checkpoint whose logit of one label is larger by a constant.

    A prior shift (Menon et al. 2021, "Long-tail learning via logit adjustment", section 4.1): where training
    showed too little of a label, such as healthy skin, a constant chosen on validation makes up for it. It is
    in the classifier's bias, so that nothing else changes; temperature and thresholds must be fitted anew.

    Args:
        source: the checkpoint, a folder or ``ORG/NAME@REVISION``.
        label: one of its labels.
        by: is added to the logit.
        output: the folder to write.

    Raises:
        ConfigError: there is no such label.
    """
    found = checkpoint.load(source)
    if label not in found.config.labels:
        raise ConfigError(
            f"There is no label {label!r}.",
            hint=f"The labels are: {', '.join(found.config.labels)}.",
        )
    classifier = found.network.head.get_submodule("classifier")
    with torch.no_grad():
        classifier.get_parameter("bias")[found.config.labels.index(label)] += by
    checkpoint.save(Path(output), found.network, found.config, card=found.card(), detector=found.detector)
