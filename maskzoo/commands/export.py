"""`maskzoo export`: a bundle written for a faster engine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from maskzoo.console import Bundle, Json, print_json


def export(
    bundle: Bundle,
    *,
    engine: Annotated[
        Literal["openvino", "onnxruntime", "cuda-graphs"],
        typer.Option(help="Engine to export to; cuda-graphs on the machine with the GPU."),
    ] = "openvino",
    library: Annotated[
        Literal["smp"] | None,
        typer.Option(help="In place of an engine: a folder that smp.from_pretrained loads."),
    ] = None,
    precision: Annotated[
        Literal["fp32", "fp16", "int8"], typer.Option(help="fp16 and int8: openvino only.")
    ] = "fp32",
    calibrate: Annotated[
        Path | None, typer.Option(exists=True, help="Data to calibrate and score int8 with.")
    ] = None,
    max_drop: Annotated[
        float, typer.Option(min=0, help="Points of mean IoU that int8 may lose.")
    ] = 0.5,
    check: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A typical image; its centre is kept as a check image. May be repeated.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Parent folder.  [default: BUNDLE/engines]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Export a bundle to a faster engine, which `serve` and `predict` then use.

    They use int8 if it lost at most 0.1 points of mean IoU on 20 images or more, or if the engine
    openvino-int8 is requested. For cuda-graphs the network is compiled for this machine's GPU, into
    the user's cache; the program is used if it is faster.
    """
    from maskzoo.models.bundles.shipped import find_bundle

    folder = find_bundle(bundle)
    if library is not None:
        from maskzoo.models.export.smp import export_smp

        if out is None:
            raise typer.BadParameter("--library smp needs --out FOLDER")
        print(f"{export_smp(folder, out)}: smp.from_pretrained gives the bundle's logits")
        return
    if engine == "cuda-graphs":
        if precision != "fp32" or calibrate or check or out:
            raise typer.BadParameter(
                "--engine cuda-graphs takes no other option: it computes in 16 bits, is checked "
                "when it is loaded, and lies in the cache"
            )
        _fuse(folder, as_json=as_json)
        return
    if (precision == "int8") != (calibrate is not None):
        raise typer.BadParameter("--precision int8 and --calibrate DATA go together")
    if calibrate is not None:
        from maskzoo.training.scoring.quantize import export_int8

        artefact = export_int8(
            folder,
            calibrate,
            max_drop=max_drop,
            out=out,
            notify=lambda line: print(line, file=sys.stderr),
        )
    else:
        from maskzoo.models.bundles.manifest import read_manifest
        from maskzoo.models.engines.check import central_part
        from maskzoo.models.export.engines import export_engine
        from maskzoo.models.images.decode import decode_image

        bands = read_manifest(folder).preprocessing.bands
        images = [central_part(decode_image(path, bands=bands).pixels) for path in check or ()]
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


def _fuse(folder: Path, *, as_json: bool) -> None:
    from maskzoo.models.export.fused import export_fused

    found = export_fused(folder, notify=lambda line: print(line, file=sys.stderr))
    if as_json:
        print_json({"folder": str(found.folder), **found.record.model_dump(mode="json")})
    else:
        print(f"{found.folder}: for {found.record.machine}; used where it is faster")
