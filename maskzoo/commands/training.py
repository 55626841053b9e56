"""Commands on data and runs; each imports what it needs when it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from maskzoo.console import Bundle, Data, Device, Json, Mode, Overlap, Tta, print_json

app = typer.Typer()
AllowBad = Annotated[
    int, typer.Option("--allow-bad", min=0, help="Leave out so many samples with errors.")
]


@app.command()
def train(
    data: Data,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="As in optimizer.lr=0.01.")
    ] = None,
    *,
    arch: Annotated[str | None, typer.Option(help="Architecture: see `models list`.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Encoder: an smp or timm name.")] = None,
    plugin: Annotated[
        list[str] | None, typer.Option(help="Plug-in as cbam@encoder.4; may be repeated.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    config: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="YAML file of settings.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the run.  [default: runs/NAME]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last step.")] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Twenty steps, all the way to a bundle.")
    ] = False,
    allow_bad: AllowBad = 0,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings as YAML and do nothing.")
    ] = False,
) -> None:
    """Train on a folder of images and masks."""
    from maskzoo.training.config.load import dump_config, load_config
    from maskzoo.training.run.dry_run import dry_run
    from maskzoo.training.run.fit import train as fit
    from maskzoo.training.run.interrupt import TrainingInterrupted

    given = {
        "model.architecture": arch,
        "model.encoder": encoder,
        "model.plugins": plugin,
        "allow_bad": allow_bad,
    }
    options = [f"{key}={json.dumps(value)}" for key, value in given.items() if value]
    chosen = load_config([*options, *(settings or [])], config, preset=preset)
    if print_config:
        print(dump_config(chosen), end="")
        return
    run_dir = out or Path("runs") / data.resolve().name
    if dry and resume:
        raise typer.BadParameter("a dry run is always new; leave out --resume")
    try:
        result = (
            dry_run(data, chosen, run_dir=run_dir)
            if dry
            else fit(data, chosen, run_dir=run_dir, resume=resume)
        )
    except TrainingInterrupted:  # the run is saved, and the way to go on is said
        raise typer.Exit(1) from None
    print(f"bundle    {result.bundle}")
    print(f"evaluate  maskzoo evaluate {result.bundle} {data}")
    print(f"serve     maskzoo serve --bundles {result.bundle}")


@app.command()
def evaluate(
    bundle: Bundle,
    data: Data,
    *,
    split: Annotated[Literal["train", "val", "test"], typer.Option()] = "test",
    mode: Mode = "auto",
    tta: Tta = "none",
    overlap: Overlap = 0.25,
    device: Device = "auto",
    engine: Annotated[
        str, typer.Option(help="auto, torch, torch-compile, openvino or onnxruntime.")
    ] = "auto",
    save: Annotated[
        bool, typer.Option("--save", help="Put the scores in the bundle and its card.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure a bundle on a folder of images and masks."""
    from maskzoo.models.bundles.bundle import save_metrics
    from maskzoo.models.bundles.shipped import find_bundle
    from maskzoo.training.data.check.progress import progress_bar
    from maskzoo.training.scoring.evaluate import Options
    from maskzoo.training.scoring.evaluate import evaluate as measure

    folder = find_bundle(bundle)
    with progress_bar("evaluating") as progress:
        result = measure(
            folder,
            data,
            split=split,
            device=device,
            engine=engine,
            options=Options(mode=mode, tta=tta, overlap=overlap),
            on_image=progress,
        )
    if save:
        command = result.command(str(data), engine=engine)
        save_metrics(folder, result.to_json() | {"command": command})
        print(f"saved in {folder}", file=sys.stderr)
    print_json(result.details()) if as_json else print(result.table())


@app.command()
def report(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of a run.")],
    data: Annotated[
        Path | None,
        typer.Argument(exists=True, help="Its data.  [default: where the run says]"),
    ] = None,
    *,
    device: Device = "auto",
) -> None:
    """Write report.html of a finished run again; `train` writes it too."""
    from maskzoo.training.data.check.progress import progress_bar
    from maskzoo.training.report.page import report_run

    with progress_bar("evaluating") as progress:
        path = report_run(run, data, device=device, on_image=progress)
    print(f"wrote {path}")


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Folders of runs or bundles, shipped names.")],
    *,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Picture: mean IoU against latency.")
    ] = Path("compare.png"),
    size: Annotated[int, typer.Option(min=32, help="Side of the image that is timed.")] = 512,
    repeats: Annotated[int, typer.Option(min=1, help="Images that each model is timed on.")] = 7,
    device: Device = "auto",
    engine: Annotated[
        str, typer.Option(help="auto, torch, torch-compile, openvino or onnxruntime.")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Compare models: scores, and latency on this machine."""
    from maskzoo.training.scoring.compare import compare as measure

    found = measure(runs, size=(size, size), repeats=repeats, device=device, engine=engine)
    print_json(found.to_json()) if as_json else print(found.table(), end="")
    print(f"wrote {found.plot(out)}", file=sys.stderr)


@app.command()
def inspect(
    data: Data,
    *,
    write: Annotated[bool, typer.Option("--write", help="Write dataset.yaml there.")] = False,
    picture: Annotated[Path | None, typer.Option(help="PNG to draw the samples into.")] = None,
    allow_bad: AllowBad = 0,
    as_json: Json = False,
) -> None:
    """Say what is in a folder of images and masks."""
    from maskzoo.training.data.check.inspect import inspect as look
    from maskzoo.training.data.check.progress import progress_bar

    with progress_bar("reading images and masks") as progress:
        report = look(data, progress=progress)
    print_json(report.to_json()) if as_json else print(report.table(), end="")
    if write:
        print(f"wrote {report.write_yaml()}", file=sys.stderr)
    if picture is not None:
        print(f"wrote {report.picture(picture)}", file=sys.stderr)
    if report.num_errors and not report.is_usable(allow_bad=allow_bad):
        raise typer.Exit(2)


@app.command("augment-preview")
def augment_preview(
    data: Data,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="As for train.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="PNG to draw into.")],
    preset: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    config: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="YAML file of settings.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Images to show.")] = 4,
    draws: Annotated[int, typer.Option(min=1, help="Crops beside each image.")] = 5,
) -> None:
    """Draw what training would show the network: images, and crops of the first epochs."""
    from maskzoo.training.config.load import load_config
    from maskzoo.training.planning.preview import preview

    chosen = load_config(settings or [], config, preset=preset)
    print(f"wrote {preview(data, chosen, out, num_samples=samples, num_draws=draws)}")


@app.command()
def export(
    bundle: Bundle,
    *,
    engine: Annotated[
        Literal["openvino", "onnxruntime"], typer.Option(help="What is to run it.")
    ] = "openvino",
    precision: Annotated[
        Literal["fp32", "fp16", "int8"], typer.Option(help="fp16 and int8: openvino only.")
    ] = "fp32",
    calibrate: Annotated[
        Path | None, typer.Option(exists=True, help="Data to calibrate int8 with, and score it on.")
    ] = None,
    max_drop: Annotated[
        float, typer.Option(min=0, help="Points of mean IoU that int8 may lose.")
    ] = 0.5,
    check: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="An image that is typical; its middle is kept to compare classes by. Repeat it.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Parent folder.  [default: BUNDLE/engines]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a bundle for a faster engine; `serve` and `predict` take fp32 and fp16 by themselves.

    int8 is taken where the engine openvino-int8 is asked for.
    """
    from maskzoo.models.bundles.shipped import find_bundle

    folder = find_bundle(bundle)
    if (precision == "int8") != (calibrate is not None):
        raise typer.BadParameter("--precision int8 and --calibrate DATA go together")
    if calibrate is not None:
        from maskzoo.training.scoring.quantize import export_int8

        artefact = export_int8(
            folder,
            calibrate,
            max_drop=max_drop,
            out=out,
            say=lambda line: print(line, file=sys.stderr),
        )
    else:
        from maskzoo.models.engines.check import central_part
        from maskzoo.models.export.engines import export_engine
        from maskzoo.models.images.decode import decode_image

        images = [central_part(decode_image(path).pixels) for path in check or ()]
        artefact = export_engine(folder, engine, precision=precision, images=images, out=out)
    record = artefact.record
    if as_json:
        print_json({"folder": str(artefact.folder), **record.model_dump()})
        return
    score = record.score
    if score is None:
        print(f"{artefact.folder}: torch's class for {record.agreement:.2%} of the check pixels")
    else:
        print(
            f"{artefact.folder}: mean IoU on {score.split} {100 * score.mean_iou_torch:.2f} with "
            f"torch, {100 * score.mean_iou:.2f} in int8"
        )


@app.command()
def race(
    data: Data,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="As for train.")
    ] = None,
    *,
    minutes: Annotated[float, typer.Option(min=0.01, help="Time for all of it.")] = 60.0,
    candidates: Annotated[int, typer.Option(min=2, help="How many begin.")] = 9,
    arch: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    encoder: Annotated[list[str] | None, typer.Option(help="Only these; may be repeated.")] = None,
    plugin: Annotated[
        list[str] | None, typer.Option(help="Only these, '' for none; may be repeated.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    config: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="YAML file of settings.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder.  [default: runs/NAME-race]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a race.")] = False,
) -> None:
    """Find the architecture, encoder and plug-ins that suit the data best."""
    from maskzoo.training.config.load import load_config
    from maskzoo.training.race.run import race as run_race
    from maskzoo.training.race.space import Space
    from maskzoo.training.run.interrupt import TrainingInterrupted

    chosen = load_config(settings or [], config, preset=preset)
    folder = out or Path("runs") / f"{data.resolve().name}-race"
    try:
        result = run_race(
            data,
            chosen,
            folder=folder,
            minutes=minutes,
            space=Space.of(arch or (), encoder or (), plugin or ()),
            count=candidates,
            resume=resume,
        )
    except TrainingInterrupted:
        raise typer.Exit(1) from None
    print(f"bundle    {result.bundle}")
    print(f"report    {folder / 'race.html'}")
