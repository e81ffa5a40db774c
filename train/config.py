"""``TrainConfig``: every option of a training run, from a YAML file and the command line (jsonargparse)."""

from __future__ import annotations

import dataclasses
from typing import Literal

from model.labels import LABELS


@dataclasses.dataclass(kw_only=True)
class TrainConfig:
    """One training run.

    Attributes:
        data: folders or Hub ids; their splits are concatenated.
        output: folder of the run, created if needed.
        init: a safetensors file for the backbone, a checkpoint (folder or ORG/NAME@REVISION) to train
            further, "timm" for timm's weights from the Hub, or "random".
        init_share: share of the checkpoint ``init`` in the weights that are saved (WiSE-FT, Wortsman et al.
            2022), 0 to 1; 0 saves the trained weights unchanged.
        resume: continue the run in ``output``.
        labels: class names in the order of the logits.
        seed: of every random draw.
        backbone: a timm model name, or torchvision/NAME.
        head: bilstm, attention or pool.
        stages: how many of the backbone's last stages the head reads, see ``ModelConfig``.
        hidden_size: width of the head.
        dropout: of the head, 0 to 1.
        stride_in_1x1: original ResNet strides, as the weights in Caffe and Keras have them.
        input_size: side of the picture for evaluation and serving, pixels.
        crop_mode: center or squash; how a whole picture becomes square for evaluation and serving.
        crop_pct: share of each side of the resized picture that is used, 0 to 1.
        train_size: side of the training crops, pixels; a list divides the epochs equally among its sizes, in
            this order (small pictures first save most of the time).
        trainable: patterns of backbone parameter names (layer4.*) that are trained; the rest is frozen.
        epochs: passes over the training rows.
        batch_size: pictures per step, divided evenly among the processes.
        head_lr: peak learning rate of the head.
        backbone_lr: peak learning rate of the trained part of the backbone.
        layer_decay: each stage of the backbone is trained at this multiple of the rate of the stage after it,
            above 0, at most 1.
        weight_decay: of AdamW, on matrices only.
        warmup_epochs: linear warm-up.
        restarts: number of warm restarts of the cosine (0: one long decay).
        clip_norm: largest gradient norm.
        drop_path: probability of skipping the last residual block for a picture (stochastic depth, Huang et
            al. 2016); it grows linearly from 0 at the first block. 0 turns it off.
        ema_decay: decay of a moving average of the weights over steps, which the checkpoint holds; 0 turns it
            off, and an epoch's last weights are used.
        sampler_power: WeightedRandomSampler draws a picture with weight n ** -power, n its class's pictures;
            1 balances the classes, 0 turns it off.
        source_power: within a class, the sampler draws a picture with weight m ** -power, m the class's
            pictures from its source; 1 balances the sources, 0 turns it off.
        class_weight_power: the loss weighs a class by n ** -power; 0 turns it off. The two powers together
            should not exceed 1, or the classes are balanced twice.
        logit_adjustment: the loss adds this multiple of a class's log frequency, as drawn, to its logit
            (Menon et al. 2021); 1 makes the logits those of balanced classes, 0 turns it off.
        label_smoothing: 0 to 1.
        diagnosis_weight: weight of an auxiliary loss: a linear layer on the averaged map predicts the
            diagnosis, where the data has one, and is discarded afterwards; 0 turns it off.
        mixup: parameter of the Beta distribution of the shares with which two pictures are blended (Zhang et
            al. 2018); 0 turns it off.
        cutmix: the same for a rectangle of one picture that is pasted into another (Yun et al. 2019). With
            both, a batch uses one or the other.
        mix_share: share of the batches that are mixed, 0 to 1.
        min_scale: smallest area of a random crop, 0 to 1.
        color_jitter: strength, 0 to 1.
        white_balance: strength of a colour cast: red, green and blue are each scaled by a factor from 1 -
            strength to 1 + strength, 0 to 1.
        grayscale: probability, 0 to 1.
        blur: probability, 0 to 1.
        downscale: probability, 0 to 1.
        compress: probability of a JPEG compression of random strength, 0 to 1.
        erase: probability, 0 to 1.
        quarter_turns: rotate pictures by multiples of 90 degrees, for pictures without an upright side.
        validation_fraction: share of train held out for validation if a data set has no validation split.
        max_unreadable: largest share of unreadable pictures.
        manifest: a hash manifest that the pictures of train and validation must match; empty for none.
        not_skin: sources whose Unknown_Normal pictures show no skin; the detector of the third rejection
            criterion is chosen on those in validation, and without any there is no detector.
        detector_pictures: the most training pictures of skin used to fit it; 0 for no detector.
        keep: share of validation pictures with a condition that should be neither rejected nor called no
            condition.
        uncertain_accuracy: wanted accuracy of answers that are not called uncertain.
        malignant_sensitivity: share of validation pictures of labels that may be cancer for which the advice
            to see a doctor comes first, each group of related pictures counting as one.
        patience: epochs without a better validation balanced accuracy before the run stops.
        save_every: steps between two saves of the run's state.
        num_workers: processes that load pictures.
        device: auto, cpu, cuda or mps.
        precision: bf16 computes the network in bfloat16; auto does so on CUDA.
        compile: compile the backbone with torch.compile, which takes a minute per training size, needs a C++
            compiler, and makes a step up to 1.6 times as fast.
    """

    data: list[str] = dataclasses.field(default_factory=list)
    output: str = "runs/skin22"
    init: str = "timm"
    init_share: float = 0.0
    resume: bool = False
    labels: list[str] = dataclasses.field(default_factory=lambda: list(LABELS))
    seed: int = 0

    backbone: str = "resnet50"
    head: str = "bilstm"
    stages: int = 1
    hidden_size: int = 256
    dropout: float = 0.3
    stride_in_1x1: bool = False
    input_size: int = 224
    crop_mode: Literal["center", "squash"] = "center"
    crop_pct: float = 1.0

    train_size: int | list[int] = 224
    trainable: list[str] = dataclasses.field(default_factory=lambda: ["layer3.*", "layer4.*"])
    epochs: int = 12
    batch_size: int = 32
    head_lr: float = 1e-3
    backbone_lr: float = 2e-4
    layer_decay: float = 1.0
    weight_decay: float = 0.05
    warmup_epochs: float = 0.5
    restarts: int = 0
    clip_norm: float = 1.0
    drop_path: float = 0.0
    ema_decay: float = 0.0
    sampler_power: float = 0.5
    source_power: float = 0.0
    class_weight_power: float = 0.0
    logit_adjustment: float = 0.0
    label_smoothing: float = 0.1
    diagnosis_weight: float = 0.0

    mixup: float = 0.0
    cutmix: float = 0.0
    mix_share: float = 1.0
    min_scale: float = 0.35
    color_jitter: float = 0.3
    white_balance: float = 0.0
    grayscale: float = 0.05
    blur: float = 0.1
    downscale: float = 0.3
    compress: float = 0.0
    erase: float = 0.1
    quarter_turns: bool = False

    validation_fraction: float = 0.1
    max_unreadable: float = 0.01
    manifest: str = ""
    not_skin: list[str] = dataclasses.field(default_factory=list)
    detector_pictures: int = 2000
    keep: float = 0.95
    uncertain_accuracy: float = 0.7
    malignant_sensitivity: float = 0.95
    patience: int = 5
    save_every: int = 100
    num_workers: int = 2
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False

    def size_of_epoch(self, epoch: int) -> int:
        """Side of the training crops in an epoch, counted from 0, pixels."""
        sizes = [self.train_size] if isinstance(self.train_size, int) else self.train_size
        return sizes[min(epoch * len(sizes) // self.epochs, len(sizes) - 1)]


# Options that may change when a run is resumed, since they do not affect its result.
FREE_ON_RESUME = ("resume", "output", "manifest", "num_workers", "save_every")
