"""The command `maskzoo`: one thin front over models, training and service.

Each command imports what it needs when it runs, so that `maskzoo --help` answers at once.
Exit codes: 0 done, 2 the input was wrong, 1 anything else. With `--json` a command prints one
JSON document on standard output and nothing else there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from models.inference.folder import Outcome

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

app = typer.Typer(
    name="maskzoo",
    help="Train, compare and serve semantic-segmentation networks. "
    "With --debug a command that fails shows where.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich costs more than all the rest
)
models_app = typer.Typer(no_args_is_help=True, help="The architectures and the shipped bundles.")
app.add_typer(models_app, name="models")

Bundle = Annotated[str, typer.Argument(help="A bundle's folder, or the name of a shipped one.")]
Data = Annotated[
    Path, typer.Argument(exists=True, help="Folder with images/ and masks/, or a dataset.yaml.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


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
) -> None:
    """Train on a folder of images and masks."""
    from training.config import load_config
    from training.fit import dry_run
    from training.fit import train as fit
    from training.interrupt import TrainingInterrupted

    given = {"model.architecture": arch, "model.encoder": encoder, "model.plugins": plugin}
    options = [f"{key}={json.dumps(value)}" for key, value in given.items() if value]
    chosen = load_config([*options, *(settings or [])], config, preset=preset)
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
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a bundle on a folder of images and masks."""
    from models.shipped import find_bundle
    from training.evaluate import evaluate as measure

    result = measure(find_bundle(bundle), data, split=split, device=device)
    _print_json(result.to_json()) if as_json else print(result.table())


@app.command()
def predict(
    bundle: Bundle,
    images: Annotated[list[str], typer.Argument(help="Image files, folders, glob patterns.")],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for masks/ and overlays/.")],
    mode: Annotated[str, typer.Option(help="auto, whole or resize.")] = "auto",
    overlays: Annotated[bool, typer.Option(help="Write the overlays too.")] = True,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Write a mask, and an overlay, for each image."""
    from models import Predictor
    from models.inference.folder import plan, predict_files
    from models.shipped import find_bundle

    folder = find_bundle(bundle)
    tasks = plan(images, out, overlays=overlays)
    predictor = Predictor.from_bundle(folder, device=device)
    outcomes = []
    for outcome in predict_files(predictor, tasks, mode=mode):
        outcomes.append(outcome)
        if outcome.error is not None:
            print(f"error: {outcome.error}", file=sys.stderr)
        elif not as_json:
            print(_describe(outcome))
    if as_json:
        _print_json([_outcome_document(outcome) for outcome in outcomes])
    num_failed = sum(outcome.error is not None for outcome in outcomes)
    if num_failed:
        print(f"{num_failed} of {len(outcomes)} images have no mask", file=sys.stderr)
        raise typer.Exit(2)


@app.command()
def inspect(
    data: Data,
    *,
    write: Annotated[bool, typer.Option("--write", help="Write dataset.yaml there.")] = False,
    picture: Annotated[Path | None, typer.Option(help="PNG to draw the samples into.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is in a folder of images and masks."""
    from training.data.inspect import inspect as look

    report = look(data)
    _print_json(report.to_json()) if as_json else print(report.table(), end="")
    if write:
        print(f"wrote {report.write_yaml()}", file=sys.stderr)
    if picture is not None:
        print(f"wrote {report.picture(picture)}", file=sys.stderr)
    if report.num_errors:
        raise typer.Exit(2)


@app.command()
def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    bundles: Annotated[
        list[Path] | None, typer.Option(exists=True, file_okay=False, help="Folder of bundles.")
    ] = None,
) -> None:
    """Answer POST /segment over HTTP, with a page at /."""
    import logging
    import signal

    import uvicorn

    from models.shipped import list_bundles
    from service.app import create_app
    from service.settings import Settings

    settings = Settings(bundles=tuple(bundles)) if bundles else Settings()
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again when it is done
        signal.signal(number, lambda *_: sys.exit(0))
    logging.basicConfig(level=settings.log_level.upper(), format=_LOG_FORMAT)
    with _listen(host, port) as listener:
        names = [path.name for folder in settings.bundle_folders for path in list_bundles(folder)]
        shown = f"[{host}]" if ":" in host else host
        print(f"models: {', '.join(dict.fromkeys(names)) or 'none found'}", flush=True)
        print(f"listening on http://{shown}:{listener.getsockname()[1]}", flush=True)
        service = create_app(settings)  # logs each request itself
        server = uvicorn.Server(uvicorn.Config(service, log_config=None, access_log=False))
        server.run(sockets=[listener])


@models_app.command("list")
def models_list(
    pattern: Annotated[str, typer.Argument(help="Wildcards allowed.")] = "*",
    *,
    as_json: Json = False,
) -> None:
    """List the architectures, and the bundles that ship."""
    from fnmatch import fnmatch

    from models import list_models
    from models.bundle import read_manifest
    from models.shipped import list_bundles

    architectures = list_models(pattern)
    manifests = [read_manifest(path) for path in list_bundles() if fnmatch(path.name, pattern)]
    if as_json:
        shown = [{"name": item.name, "spec": item.spec.model_dump()} for item in manifests]
        _print_json({"architectures": architectures, "bundles": shown})
        return
    for name in architectures:
        print(f"{name:<16} {_first_line(name)}")
    for item in manifests:
        print(f"{item.name:<16} bundle: {item.spec.architecture}, {', '.join(item.labels.names)}")


@models_app.command("show")
def models_show(name: str, *, as_json: Json = False) -> None:
    """Show one architecture, or one bundle."""
    from models.bundle import read_manifest
    from models.errors import UnknownNameError
    from models.registry import ARCHITECTURES
    from models.shipped import find_bundle, list_bundles

    if name in ARCHITECTURES:
        about = (sys.modules[ARCHITECTURES[name].__module__].__doc__ or "").strip()
        _print_json({"name": name, "about": about}) if as_json else print(about)
        return
    shipped = [path.name for path in list_bundles()]
    if name not in shipped and not Path(name).exists():
        raise UnknownNameError("architecture or bundle", name, [*ARCHITECTURES, *shipped])
    print(read_manifest(find_bundle(name)).model_dump_json(indent=2))


@app.command()
def doctor(*, as_json: Json = False) -> None:
    """Check the installation: versions, devices, shipped bundles."""
    report = _examine()
    if as_json:
        _print_json(report)
    else:
        for key, value in report.items():
            print(f"{key:<32} {value}")
    if report["problems"]:
        raise typer.Exit(1)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; ends the process with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    if debug:
        given.remove("--debug")
    try:
        app(given, prog_name="maskzoo")
    except Exception as error:
        if debug:
            raise
        # Raised only where its module is loaded; importing it here would load torch for nothing.
        known = sys.modules.get("models.errors")
        if known is not None and isinstance(error, known.ZooError):
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        print(f"error: {type(error).__name__}: {error} (--debug shows where)", file=sys.stderr)
        sys.exit(1)


def _listen(host: str, port: int) -> Any:
    """Return a listening socket, so that a taken port is said before anything loads."""
    import socket

    from models.errors import ZooError

    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as error:
        raise ZooError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another by --host or --port"
        ) from None


def _first_line(architecture: str) -> str:
    from models.registry import ARCHITECTURES

    module = sys.modules[ARCHITECTURES[architecture].__module__]
    return (module.__doc__ or "").strip().split("\n", 1)[0]


def _describe(outcome: Outcome) -> str:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in (outcome.shares or {}).items())
    task = outcome.task
    return f"{task.image} -> {task.mask}  {outcome.width} x {outcome.height}  {shares}"


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    task = outcome.task
    if outcome.error is not None:
        return {"image": str(task.image), "error": outcome.error}
    return {
        "image": str(task.image),
        "mask": str(task.mask),
        "overlay": str(task.overlay) if task.overlay else None,
        "width": outcome.width,
        "height": outcome.height,
        "shares": outcome.shares,
        "seconds": outcome.seconds,
    }


def _examine() -> dict[str, Any]:
    """Return versions, devices and what is wrong with the installation."""
    import importlib
    import importlib.metadata
    import os
    import platform

    report: dict[str, Any] = {"python": platform.python_version(), "cpus": os.cpu_count()}
    problems = []
    for name in ("torch", "torchvision", "segmentation_models_pytorch", "timm", "lightning", "cv2"):
        try:
            report[name] = importlib.import_module(name).__version__
        except ImportError as error:
            report[name] = None
            problems.append(f"{name} cannot be imported: {error}")
    for name in ("onnxruntime", "openvino"):
        try:
            report[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            report[name] = "not installed (optional)"
    if report["torch"]:
        import torch

        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        report["cuda"] = names or "no device: the CPU is used"
    report["bundles"], broken = _check_bundles()
    report["problems"] = problems + broken
    return report


def _check_bundles() -> tuple[list[str], list[str]]:
    from models.bundle import load_bundle
    from models.errors import BundleError
    from models.shipped import list_bundles

    good, broken = [], []
    for path in list_bundles():
        try:
            good.append(load_bundle(path).manifest.name)
        except BundleError as error:
            broken.append(str(error))
    return good, broken


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


if __name__ == "__main__":
    main()
