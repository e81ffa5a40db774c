"""Commands on data sets and on the Hub."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from train.commands.types import Device

if TYPE_CHECKING:
    from model.hub import Upload


def audit(
    *,
    data: list[str],
    output: str,
    labels: Sequence[str] = (),
    probabilities: Sequence[str] = (),
    init: str = "",
    backbone: str = "resnet50",
    stride_in_1x1: bool = False,
    device: Device = "auto",
    fail_on_defects: bool = False,
) -> None:
    """Check a data set before training, and write its hash manifest.

    Args:
        data: folders or Hub ids.
        output: folder for the report.
        labels: class names; default: all of the data sets'.
        probabilities: out-of-fold CSV files from predict-split, to find label errors.
        init: instead, weights for a probe that finds label errors, as for fit.
        backbone: as for fit; not needed for a checkpoint.
        stride_in_1x1: as for fit; not needed for a checkpoint.
        device: where to compute.
        fail_on_defects: exit with 1 if there is a defect.
    """
    from train.audit.run import audit as check

    check(
        data=data,
        output=output,
        labels=labels,
        probabilities=probabilities,
        init=init,
        backbone=backbone,
        stride_in_1x1=stride_in_1x1,
        device=device,
        fail_on_defects=fail_on_defects,
    )


def pieces(
    *,
    data: list[str],
    checkpoint: str,
    output: str,
    split: str = "train",
    max_unreadable: float = 0.01,
) -> None:
    """Cut pieces of healthy skin out of pictures of conditions, as a data set.

    Args:
        data: folders or Hub ids with pictures of conditions.
        checkpoint: folder, or ORG/NAME@REVISION; its Grad-CAM shows where the condition is.
        output: folder for the data set and the contact sheets.
        split: name of the split to read, and of the one to write.
        max_unreadable: largest share of unreadable pictures.
    """
    from train.data.healthy_pieces import write_pieces

    write_pieces(data=data, checkpoint=checkpoint, output=output, split=split, max_unreadable=max_unreadable)


def push(*, checkpoint: str, repo_id: str, private: bool = False, with_handler: bool = False) -> None:
    """Upload a checkpoint folder to the Hub.

    Args:
        checkpoint: checkpoint folder.
        repo_id: ORG/NAME, created if needed.
        private: make the repository private.
        with_handler: add handler.py and the code, for an Inference Endpoint.
    """
    from train.publish.checkpoint import push as upload

    _report(upload(checkpoint, repo_id, private=private, with_handler=with_handler))


def push_data(*, data: str, repo_id: str, notes: str, public: bool = False) -> None:
    """Upload a data set to the Hub, as a private repository by default.

    Args:
        data: folder with the data set.
        repo_id: ORG/NAME, created if needed.
        notes: Markdown file on sources and terms; its front matter has the licence.
        public: make the repository public.
    """
    from train.publish.dataset import push_data as upload

    _report(upload(data=data, repo_id=repo_id, notes=notes, public=public))


def _report(upload: Upload) -> None:
    print(f"Published: {upload.url}", file=sys.stderr)
    print(upload)
