"""The command line: ``python -m train fit | evaluate | predict | ood | ...``; ``--help`` lists them all."""

from __future__ import annotations

import io
import os
import sys

import jsonargparse

from model.errors import SkinDiseaseNetError
from model.hub import Upload
from train.benchmark.run import YARDSTICKS, benchmark
from train.config import TrainConfig, add_fit_options
from train.evaluate import isic as submission
from train.evaluate import run as evaluate
from train.evaluate.dermoscopy import DERMOSCOPY_LABELS
from train.evaluate.isic import CHALLENGES
from train.report.card import write_card


def _parser() -> jsonargparse.ArgumentParser:
    parser = jsonargparse.ArgumentParser(prog="python -m train", description=__doc__)
    commands = parser.add_subcommands(dest="command")

    fit = jsonargparse.ArgumentParser(description="train a network and write its checkpoint")
    add_fit_options(fit)
    commands.add_subcommand("fit", fit, help="train a network and write its checkpoint")

    crossval = jsonargparse.ArgumentParser(description="cross-validate a recipe on maps of its frozen stages")
    add_fit_options(crossval)
    crossval.add_argument("--folds", default=5, type=int, help="number of folds")
    crossval.add_argument("--views", default=2, type=int, help="augmented views of each picture")
    commands.add_subcommand("crossval", crossval, help="cross-validate a recipe on maps of its frozen stages")

    ablate = jsonargparse.ArgumentParser(description="compare recipes under one small budget, by a plan")
    ablate.add_argument("--plan", required=True, type=str, help="YAML file, such as train/ablations.yaml")
    ablate.add_argument("--data", nargs="+", type=os.fspath, required=True, help="folders or Hub ids")
    ablate.add_argument("--init", required=True, type=str, help="initial weights, as for fit")
    ablate.add_argument("--output", required=True, type=str, help="folder for the figures of the rows")
    ablate.add_argument("--maps", required=True, type=str, help="folder for cached maps, some gigabytes")
    ablate.add_argument("--report", required=True, type=str, help="Markdown file for the table")
    ablate.add_argument("--only", default="", type=str, help='train just the rows whose "TITLE/ROW" match')
    commands.add_subcommand("ablate", ablate, help="compare recipes under one small budget, by a plan")

    for name, output, text in (
        ("evaluate", "folder for metrics.json", "measure a checkpoint on a labelled split"),
        ("predict", "CSV file", "write calibrated probabilities for every picture of a split"),
        ("ood", "folder for ood.json", "measure how well pictures that are not skin are turned away"),
    ):
        command = jsonargparse.ArgumentParser(description=text)
        command.add_argument(
            "--checkpoint", required=True, type=str, help="checkpoint folder or ORG/NAME@REVISION"
        )
        command.add_argument("--data", required=True, type=str, help="folder or Hub id")
        command.add_argument("--split", required=True, type=str, help="name of the split")
        if name == "ood":
            command.add_argument(
                "--ood", required=True, type=str, help="folder with pictures that are not skin"
            )
            command.add_argument(
                "--fit_data",
                type=str,
                default=None,
                help="training data, to fit published detectors on for comparison (requirements-eval.txt)",
            )
            command.add_argument("--fit_split", type=str, default="train", help="its split")
            command.add_argument(
                "--max_pictures", type=int, default=3000, help="cap on --fit_data and a split of --ood"
            )
        if name == "evaluate":
            command.add_argument(
                "--truth", type=str, default=None, help="ground truth in CSV, for pictures without labels"
            )
            command.add_argument(
                "--map",
                choices=list(DERMOSCOPY_LABELS),
                default=None,
                help="measure a model of the 22 clinical groups on dermoscopy with these labels",
            )
        if name == "predict":
            command.add_argument(
                "--format",
                choices=["csv", *CHALLENGES],
                default="csv",
                help="csv, or the submission of an ISIC challenge",
            )
        command.add_argument("--output", required=True, type=os.fspath, help=output)
        command.add_argument("--device", default="auto", type=str, help="auto, cpu, cuda or mps")
        command.add_argument(
            "--max_unreadable", default=0.01, type=float, help="largest share of unreadable pictures"
        )
        command.add_argument(
            "--manifest", default="", type=str, help="hash manifest that the pictures must match"
        )
        commands.add_subcommand(name, command, help=text)

    text = "check a data set before training, and write its hash manifest"
    check = jsonargparse.ArgumentParser(description=text)
    check.add_argument("--data", required=True, nargs="+", type=os.fspath, help="folders or Hub ids")
    check.add_argument("--output", required=True, type=os.fspath, help="folder for the report")
    check.add_argument("--labels", default=[], type=list[str], help="class names (default: all there are)")
    check.add_argument(
        "--probabilities", nargs="+", type=os.fspath, default=[], help="CSV files of predict, out of fold"
    )
    check.add_argument(
        "--init", default="", type=str, help="weights for a probe that looks for label errors, as for fit"
    )
    for name in ("backbone", "stride_in_1x1", "device"):
        value = getattr(TrainConfig(), name)
        check.add_argument(f"--{name}", default=value, type=type(value), help="as for fit")
    check.add_argument("--fail_on_defects", action="store_true", help="exit with 1 if there is a defect")
    commands.add_subcommand("audit", check, help=text)

    calibrate = jsonargparse.ArgumentParser(description="fit a checkpoint's temperature and thresholds anew")
    calibrate.add_argument("--checkpoint", required=True, type=str, help="checkpoint folder")
    calibrate.add_argument("--data", required=True, nargs="+", type=str, help="folders or Hub ids")
    calibrate.add_argument("--split", default="validation", type=str, help="name of the split")
    calibrate.add_argument("--output", default=None, type=os.fspath, help="folder for calibration.json")
    for name in (
        *("detector_pictures", "keep", "uncertain_accuracy", "malignant_sensitivity", "device"),
        *("max_unreadable", "manifest"),
    ):
        value = getattr(TrainConfig(), name)
        calibrate.add_argument(f"--{name}", default=value, type=type(value), help="as for fit")
    calibrate.add_argument(
        "--not_skin", nargs="*", type=str, default=TrainConfig().not_skin, help="as for fit"
    )
    calibrate.add_argument("--fit_split", default="train", type=str, help="split that the weights come from")
    commands.add_subcommand("calibrate", calibrate, help="fit a checkpoint's temperature and thresholds anew")

    score = jsonargparse.ArgumentParser(description="score a submission as the ISIC challenges do")
    score.add_argument("--submission", required=True, type=str, help="CSV file that predict wrote")
    score.add_argument("--truth", required=True, type=str, help="the challenge's ground truth, CSV")
    score.add_argument("--output", default=None, type=str, help="JSON file for the figures")
    commands.add_subcommand("score", score, help="score a submission as the ISIC challenges do")

    text = "measure with a yardstick that others have used too"
    yardstick = jsonargparse.ArgumentParser(description=f"{text}; docs/benchmarks.md describes them")
    yardstick.add_argument("name", choices=list(YARDSTICKS), help="which one")
    yardstick.add_argument("--data", required=True, type=os.fspath, help="folder or Hub id of its pictures")
    yardstick.add_argument(
        "--checkpoint",
        required=True,
        type=str,
        help="checkpoint; for a linear probe also weights as for fit --init",
    )
    yardstick.add_argument("--output", required=True, type=os.fspath, help="folder for metrics.json")
    for name in ("backbone", "stride_in_1x1", "device"):
        value = getattr(TrainConfig(), name)
        yardstick.add_argument(f"--{name}", default=value, type=type(value), help="as for fit")
    yardstick.add_argument(
        "--max_unreadable", default=0.01, type=float, help="largest share of unreadable pictures"
    )
    yardstick.add_argument(
        "--splits", default=None, type=os.fspath, help="folder for the parts of fitzpatrick17k, to train on"
    )
    commands.add_subcommand("benchmark", yardstick, help=text)

    card = jsonargparse.ArgumentParser(description="write a checkpoint's model card from measured figures")
    card.add_argument("--checkpoint", required=True, type=str, help="checkpoint folder")
    card.add_argument(
        "--run",
        default=None,
        type=str,
        help="folder of the training run that made it; without it the card's own section on training stays",
    )
    card.add_argument("--notes", required=True, type=str, help="Markdown file on data and terms")
    card.add_argument(
        "--metrics", nargs="+", type=str, default=[], help="metrics.json files of this checkpoint"
    )
    card.add_argument("--ood", type=str, default=None, help="ood.json file of this checkpoint")
    card.add_argument(
        "--calibration", type=str, default=None, help="calibration.json file of this checkpoint"
    )
    card.add_argument(
        "--sources", type=str, default=None, help="JSON file on training without each source in turn"
    )
    commands.add_subcommand("card", card, help="write a checkpoint's model card from measured figures")

    push = jsonargparse.ArgumentParser(description="upload a checkpoint folder to the Hub")
    push.add_argument("--checkpoint", required=True, type=str, help="checkpoint folder")
    push.add_argument("--repo-id", required=True, type=str, help="ORG/NAME, made if needed")
    push.add_argument("--private", action="store_true", help="make the repository private")
    push.add_argument(
        "--with-handler", action="store_true", help="add handler.py and the code, for an Inference Endpoint"
    )
    commands.add_subcommand("push", push, help="upload a checkpoint folder to the Hub")

    data = jsonargparse.ArgumentParser(
        description="upload a data set to the Hub, private unless told otherwise"
    )
    data.add_argument("--data", required=True, type=os.fspath, help="folder with the data set")
    data.add_argument("--repo-id", required=True, type=str, help="ORG/NAME, made if needed")
    data.add_argument(
        "--notes",
        required=True,
        type=str,
        help="Markdown file on sources and terms; its front matter has the licence",
    )
    data.add_argument("--public", action="store_true", help="make the repository public")
    commands.add_subcommand("push-data", data, help="upload a data set to the Hub")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):  # names that are no UTF-8 must not end a command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    chosen = _parser().parse_args(arguments)
    options = chosen[chosen.command]
    try:
        if chosen.command == "fit":
            from train.finish import fit_checkpoint

            values = options.as_dict()
            values.pop("config", None)
            fit_checkpoint(TrainConfig(**values))
        elif chosen.command == "crossval":
            from train.ablate.crossval import cross_validate

            values = options.as_dict()
            folds, views = values.pop("folds"), values.pop("views")
            values.pop("config", None)
            cross_validate(TrainConfig(**values), folds=folds, views=views)
        elif chosen.command == "ablate":
            from train.ablate.run import ablate

            ablate(**options.as_dict())
        elif chosen.command == "push":
            from train.publish.checkpoint import push

            _report(
                push(
                    options.checkpoint,
                    options.repo_id,
                    private=options.private,
                    with_handler=options.with_handler,
                )
            )
        elif chosen.command == "push-data":
            from train.publish.dataset import push_data

            _report(push_data(**options.as_dict()))
        elif chosen.command == "audit":
            from train.audit.run import audit

            audit(**options.as_dict())
        elif chosen.command == "benchmark":
            benchmark(**options.as_dict())
        elif chosen.command == "calibrate":
            from train.calibrate.run import recalibrate

            recalibrate(**options.as_dict())
        elif chosen.command == "ood":
            from train.evaluate.ood import ood

            ood(**options.as_dict())
        elif chosen.command == "card":
            write_card(**options.as_dict())
        elif chosen.command == "score":
            submission.score(**options.as_dict())
        else:
            getattr(evaluate, chosen.command)(**options.as_dict())
    except SkinDiseaseNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder without rights, a link that was cut
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _report(upload: Upload) -> None:
    print(f"Published: {upload.url}", file=sys.stderr)
    print(upload)


if __name__ == "__main__":
    sys.exit(main())
