"""`maskzoo import`: trained networks of other libraries, as bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from maskzoo.models.imports.record import ImportedNetwork

app = typer.Typer(no_args_is_help=True, help="Trained networks of other libraries, as bundles.")

Out = Annotated[Path, typer.Option("-o", "--out", help="Folder of the bundle.")]
Name = Annotated[str | None, typer.Option(help="Name of the bundle; else the folder's.")]
Dtype = Annotated[Literal["float32", "float16"], typer.Option(help="Type of the stored kernels.")]
Licence = Annotated[str, typer.Option(help="Licence of the weights, such as Apache-2.0.")]

Classes = Annotated[str, typer.Option(help="Names of the classes, as background,road,car.")]
Mean = Annotated[str, typer.Option(help="Mean of the images of 0 to 1, as 0.485,0.456,0.406.")]
Std = Annotated[str, typer.Option(help="Deviation of the images of 0 to 1, as 0.229,0.224,0.225.")]


@app.command("mmseg")
def mmseg(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Checkpoint, .pth.")],
    *,
    out: Out,
    name: Name = None,
    dtype: Dtype = "float32",
    licence: Licence = "",
    config: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Its configuration, where the file has none."
        ),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(help="A published checkpoint with the same settings: `maskzoo zoo list`."),
    ] = None,
) -> None:
    """Import a checkpoint of mmsegmentation, 0.x or 1.x; nothing in it is run."""
    from maskzoo.models.imports.mmseg.importer import import_mmseg

    text = None if config is None else config.read_text(encoding="utf-8")
    finish(import_mmseg(file, config=text, like=like, licence=licence), out, name, dtype)


@app.command("smp")
def smp(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of save_pretrained.")
    ],
    *,
    out: Out,
    name: Name = None,
    dtype: Dtype = "float32",
    licence: Licence = "",
    classes: Classes = "",
    mean: Mean = "",
    std: Std = "",
) -> None:
    """Import a model that segmentation-models-pytorch saved."""
    from maskzoo.models.imports.given import given_classes, given_normalisation
    from maskzoo.models.imports.smp.importer import import_smp

    imported = import_smp(
        folder,
        classes=given_classes(classes),
        normalisation=given_normalisation(mean, std),
        licence=licence,
    )
    finish(imported, out, name, dtype)


@app.command("torchvision")
def torchvision(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Checkpoint, .pth.")],
    *,
    out: Out,
    name: Name = None,
    dtype: Dtype = "float32",
    licence: Licence = "",
    classes: Classes = "",
) -> None:
    """Import a checkpoint of torchvision's DeepLabV3, FCN or LR-ASPP."""
    from maskzoo.models.imports.given import given_classes
    from maskzoo.models.imports.torchvision import import_torchvision

    imported = import_torchvision(file, classes=given_classes(classes), licence=licence)
    finish(imported, out, name, dtype)


@app.command("huggingface")
def huggingface(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of save_pretrained.")
    ],
    *,
    out: Out,
    name: Name = None,
    dtype: Dtype = "float32",
    licence: Licence = "",
    classes: Classes = "",
) -> None:
    """Import a SegFormer or a UPerNet that Hugging Face's transformers saved."""
    from maskzoo.models.imports.given import given_classes
    from maskzoo.models.imports.huggingface.importer import import_huggingface

    imported = import_huggingface(folder, classes=given_classes(classes), licence=licence)
    finish(imported, out, name, dtype)


def finish(
    imported: ImportedNetwork, out: Path, name: str | None, dtype: Literal["float32", "float16"]
) -> None:
    """Write the bundle and say what it is."""
    from maskzoo.models.imports.bundle import write_imported

    path = write_imported(imported, out, name=name, dtype=dtype)
    spec, source = imported.spec, imported.source
    print(f"wrote {path}: {spec.architecture} on {spec.encoder}, {spec.num_classes} classes")
    print(f"tensors {len(imported.state)} taken, {len(source.left_out)} left out")
    for line in (*source.left_out, *imported.notes):
        print(f"  {line}")
    print(f"try   maskzoo predict {path} IMAGE -o predictions")
