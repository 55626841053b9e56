"""Imported networks of full width against mmsegmentation's own, built and run beside ours.

    python -m pip install --no-deps --target SITE mmengine==0.10.7 mmcv-lite==2.1.0 \\
        mmsegmentation==1.2.2 addict yapf platformdirs ftfy regex prettytable termcolor wcwidth
    PYTHONPATH=.:SITE python benchmarks/mmsegmentation.py                # all cases
    PYTHONPATH=.:SITE python benchmarks/mmsegmentation.py --only hrnet
    PYTHONPATH=.:SITE python benchmarks/mmsegmentation.py --sizes CHECKPOINTS.json sizes.json

Each case is one of mmsegmentation's configurations, some with a change that no stored reference
covers. Its network gets random weights, is saved as a checkpoint with its configuration's text, is
imported, and both networks must give the same logits in float64 on an image of odd size.

mmcv-lite has no compiled operators, so PSANet runs in its compact form only. `--sizes` writes the
bytes of the tensors of all published checkpoints, for `tools/mmseg.py`.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import types
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from maskzoo.models.imports.bundle import build_imported
from maskzoo.models.imports.mmseg.importer import import_mmseg

SIZE = (97, 129)
TOLERANCE = 1e-9  # of logits of about 1


@dataclass(frozen=True)
class Case:
    """One configuration, and what is changed in it.

    Args:
        name: of the case.
        config: of the configuration, without folder and suffix.
        changes: `part.setting` -> value.
    """

    name: str
    config: str
    changes: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case("fcn, r18", "fcn_r18-d8_4xb2-80k_cityscapes-512x1024"),
    Case("fcn, r18b", "fcn_r18b-d8_4xb2-80k_cityscapes-512x1024"),
    Case("fcn, r50b", "fcn_r50b-d8_4xb2-80k_cityscapes-512x1024"),
    Case("fcn, d6, d16", "fcn-d6_r50-d16_4xb2-40k_cityscapes-512x1024"),
    Case("deeplabv3, mg124", "deeplabv3_r101-d16-mg124_4xb2-40k_cityscapes-512x1024"),
    Case("pspnet, d32", "pspnet_r50-d32_4xb2-80k_cityscapes-512x1024"),
    Case(
        "pspnet, v1d",
        "pspnet_r50-d8_4xb2-40k_cityscapes-512x1024",
        {"backbone.type": "ResNetV1d"},
    ),
    Case(
        "pspnet, v1d-18",
        "pspnet_r18-d8_4xb2-80k_cityscapes-512x1024",
        {"backbone.type": "ResNetV1d"},
    ),
    Case(
        "pspnet, dilation not contracted",
        "pspnet_r50-d8_4xb2-40k_cityscapes-512x1024",
        {"backbone.contract_dilation": False},
    ),
    Case("ocrnet, hrnet-w18-small", "ocrnet_hr18s_4xb2-40k_cityscapes-512x1024"),
    Case("ocrnet, hrnet-w18", "ocrnet_hr18_4xb2-40k_cityscapes-512x1024"),
    Case("ocrnet, hrnet-w48", "ocrnet_hr48_4xb2-40k_cityscapes-512x1024"),
    Case("ocrnet, r101", "ocrnet_r101-d8_4xb2-40k_cityscapes-512x1024"),
    Case("ann, aligned", "ann_r50-d8_4xb2-40k_cityscapes-769x769"),
    Case("apcnet", "apcnet_r50-d8_4xb2-40k_cityscapes-512x1024"),
    Case("dmnet", "dmnet_r50-d8_4xb2-40k_cityscapes-512x1024"),
    Case("danet", "danet_r50-d8_4xb2-40k_cityscapes-512x1024"),
    Case("encnet", "encnet_r50-d8_4xb2-40k_cityscapes-512x1024"),
    Case(
        "encnet, lateral",
        "encnet_r50-d8_4xb2-40k_cityscapes-512x1024",
        {"decode_head.add_lateral": True},
    ),
    Case("deeplabv3plus, r18b", "deeplabv3plus_r18b-d8_4xb2-80k_cityscapes-512x1024"),
    Case("upernet", "upernet_r50_4xb2-40k_cityscapes-512x1024"),
    Case("isanet", "isanet_r50-d8_4xb2-40k_cityscapes-512x1024"),
    Case("dnlnet", "dnl_r50-d8_4xb2-40k_cityscapes-512x1024"),
    *(
        Case(
            f"psanet, compact, {direction}, {'softmax' if softmax else 'plain'}",
            "psanet_r50-d8_4xb2-40k_cityscapes-512x1024",
            {
                "decode_head.compact": True,
                "decode_head.psa_type": direction,
                "decode_head.psa_softmax": softmax,
                "decode_head.mask_size": (7, 9),  # of the map of an image of 97 x 129, halved
                "decode_head.normalization_factor": None,
            },
        )
        for direction, softmax in (
            ("bi-direction", True),
            ("collect", True),
            ("distribute", False),
        )
    ),
)


def main() -> None:
    """Run the cases, or compute the sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name has this text")
    parser.add_argument("--sizes", nargs=2, type=Path, metavar=("CHECKPOINTS", "OUT"))
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = load_mmsegmentation()
    if given.sizes:
        write_sizes(folder, *given.sizes)
        return
    failed = []
    for case in CASES:
        if given.only in case.name:
            difference, size = compare(case, folder)
            is_equal = difference <= TOLERANCE * max(1.0, size)
            failed += [] if is_equal else [case.name]
            print(f"{case.name:<36} {difference:.1e} of {size:6.1f} {'' if is_equal else 'NO'}")
    if failed:
        raise SystemExit(f"not equal: {', '.join(failed)}")


def load_mmsegmentation() -> Path:
    """Import mmsegmentation without compiled operators; return the folder of its configurations."""
    import mmcv.utils.ext_loader as loader

    loader.load_ext = lambda name, functions: types.SimpleNamespace(**dict.fromkeys(functions))
    import mmseg
    from mmseg.utils import register_all_modules

    register_all_modules()
    return Path(mmseg.__file__).parent / ".mim" / "configs"


def build(folder: Path, config: str, changes: dict[str, Any]) -> tuple[Any, str]:
    """Return mmsegmentation's network, and the text of its configuration."""
    from mmengine.config import Config
    from mmseg.registry import MODELS

    (path,) = folder.glob(f"*/{config}.py")
    whole = Config.fromfile(path)
    settings = Config({"model": whole.model, "crop_size": whole.crop_size})
    for name, value in changes.items():
        part, setting = name.split(".")
        settings.model[part][setting] = value
    text = settings.pretty_text
    return MODELS.build(settings.model), text


def compare(case: Case, folder: Path) -> tuple[float, float]:
    """Return the largest difference of the logits, and the largest logit."""
    torch.manual_seed(0)
    theirs, text = build(folder, case.config, case.changes)
    shake(theirs)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "checkpoint.pth"
        torch.save({"meta": {"config": text}, "state_dict": theirs.state_dict()}, path)
        ours = build_imported(import_mmseg(path)).double()
    x = torch.randn(1, 3, *SIZE, dtype=torch.float64)
    with torch.no_grad():
        wanted = theirs.double().eval().encode_decode(x, [{"img_shape": SIZE}])
        found = ours(x)
    return float((found - wanted).abs().max()), float(wanted.abs().max())


def shake(network: nn.Module) -> None:
    """Move norms, factors and statistics off their starts, where a mistake would not show."""
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm | nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif name.endswith("gamma"):
            nn.init.constant_(module.scale, 0.5)


def write_sizes(folder: Path, checkpoints: Path, out: Path) -> None:
    """Write path of the checkpoint -> bytes of its tensors, as JSON."""
    from mmengine.config import Config
    from mmseg.registry import MODELS

    known: dict[str, int] = {}
    sizes = {}
    for row in json.loads(checkpoints.read_text(encoding="utf-8")):
        found = re.search(r"_(hr\d+s?|r\d+)", row["url"].rsplit("/", 1)[1])
        parts = [row["family"], row["backbone"], row["head"], found[1] if found else ""]
        key = json.dumps(parts, sort_keys=True)
        path = folder.parent / row["config"]
        if not path.exists():
            path = path.with_name(path.name[1:])  # two metafiles double the first letter
        if key not in known and path.exists():
            with torch.device("meta"):
                state = MODELS.build(Config.fromfile(path).model).state_dict()
            known[key] = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
        sizes[row["url"].split("/mmsegmentation/", 1)[1]] = known.get(key)
    out.write_text(json.dumps(sizes), encoding="utf-8")
    print(f"{len(known)} networks, {sum(size is None for size in sizes.values())} unknown")


if __name__ == "__main__":
    main()
