"""Writes the outputs that other people's networks give, for the tests of ours.

    python -m pip install --no-deps --target SITE mmengine==0.10.7 mmcv-lite==2.1.0 \\
        mmsegmentation==1.2.2 addict yapf platformdirs ftfy regex prettytable termcolor wcwidth
    PYTHONPATH=.:SITE python benchmarks/references.py    # writes tests/data/references/
    PYTHONPATH=.:SITE:AUTHORS/openseg python benchmarks/references.py --authors AUTHORS
    PYTHONPATH=.:SITE python benchmarks/references.py --nnunet
    PYTHONPATH=.:SITE python benchmarks/references.py --refinements    # K-Net, PointRend

AUTHORS holds clones of github.com/openseg-group/openseg.pytorch as `openseg` (OCNet),
github.com/DeepMotionAIResearch/DenseASPP as `DenseASPP` and github.com/Andrew-Qibin/SPNet as
`SPNet`; mmsegmentation has none of these.
`--nnunet` needs `dynamic-network-architectures` in SITE.

mmsegmentation's networks have their full width. Their weights are drawn by the tensors' names
(`tools/huggingface.py`), so the test draws them again, and a file holds the names and the outputs
only. Outputs are in float64 and evaluation mode, those of auxiliary heads too.
"""

from __future__ import annotations

import argparse
import json
import re
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmsegmentation import load_mmsegmentation
from safetensors.torch import save_file
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "data" / "references"
drawn = runpy.run_path(str(ROOT / "tools" / "huggingface.py"))["drawn"]
EVEN, ODD = (128, 192), (97, 130)
CLASSES = 5


@dataclass(frozen=True)
class Case:
    """One configuration, what is changed in it, and the sizes of images that it takes.

    Args:
        config: of mmsegmentation, without folder and suffix.
        outputs: network and image -> outputs by name.
        change: changes the configuration of the network.
        sizes: of the images.
    """

    config: str
    outputs: Callable[[Any, Tensor], dict[str, Tensor]]
    change: Callable[[Any], None] = lambda settings: None
    sizes: tuple[tuple[int, int], ...] = (EVEN,)


def decoded(network: Any, image: Tensor) -> dict[str, Tensor]:
    """Return the logits before they are resized to the image."""
    return {"logits": network.decode_head(network.extract_feat(image))}


def with_two_heads(network: Any, image: Tensor) -> dict[str, Tensor]:
    """Return those of DDRNet and PIDNet, whose heads return more when they train."""
    network.backbone.training = network.decode_head.training = True  # their parts stay as they are
    outputs = network.decode_head(network.backbone(image))
    names = ("logits", "high") if len(outputs) == 2 else ("proportional", "logits", "edges")
    return dict(zip(names, outputs, strict=True))


def with_auxiliary_heads(network: Any, image: Tensor) -> dict[str, Tensor]:
    """Return those of BiSeNetV2 and STDC."""
    features = network.extract_feat(image)
    heads = {f"auxiliary_{n}": head(features) for n, head in enumerate(network.auxiliary_head)}
    return {"logits": network.decode_head(features), **heads}


def one_convolution(settings: Any) -> None:
    """Give BiSeNetV2's auxiliary heads one convolution, as in the paper's figure, not two."""
    for head in settings.auxiliary_head:
        head.num_convs = 1


def one_logit_of_details(settings: Any) -> None:
    """Give STDC's head of details one logit, as in the paper, not two."""
    settings.auxiliary_head[2].out_channels = 1


def narrow(settings: Any) -> None:
    """Make PIDNet-L a quarter as wide."""
    settings.backbone.channels, settings.backbone.ppm_channels = 16, 12
    settings.decode_head.in_channels = settings.decode_head.channels = 64


def fixed_bases(settings: Any) -> None:
    """Keep the ham's bases with the weights."""
    settings.decode_head.ham_kwargs.rand_init = False


CASES = {
    "segnext_t": Case(
        "segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512", decoded, fixed_bases, ((65, 97),)
    ),
    "ddrnet_23_slim": Case(
        "ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024", with_two_heads
    ),
    "pidnet_s": Case("pidnet-s_2xb6-120k_1024x1024-cityscapes", with_two_heads),
    "pidnet_l": Case("pidnet-l_2xb6-120k_1024x1024-cityscapes", with_two_heads, narrow),
    "bisenetv2": Case(
        "bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024",
        with_auxiliary_heads,
        one_convolution,
        (EVEN, ODD),
    ),
    "stdc1": Case(
        "stdc1_4xb12-80k_cityscapes-512x1024",
        with_auxiliary_heads,
        one_logit_of_details,
        (EVEN, ODD),
    ),
}


def main() -> None:
    """Write one file for each case, of mmsegmentation or of the authors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--authors", type=Path, help="folder of the authors' code")
    parser.add_argument("--nnunet", action="store_true", help="nnU-Net's residual U-Net")
    parser.add_argument("--refinements", action="store_true", help="K-Net and PointRend")
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if given.nnunet:
        write_nnunet()
    elif given.refinements:
        write_refinements()
    elif given.authors:
        write_authors(given.authors)
    else:
        write_mmsegmentation()


def write_authors(folder: Path) -> None:
    """Write the outputs of the authors' modules, of 16 channels."""
    from lib.models.modules.asp_oc_block import ASP_OC_Module
    from lib.models.modules.base_oc_block import BaseOC_Module

    dense = runpy.run_path(str(folder / "DenseASPP/models/DenseASPP.py"))["_DenseAsppBlock"]
    strips = runpy.run_path(str(folder / "SPNet/models/customize.py"))["StripPooling"]
    asp = ASP_OC_Module(16, 8, bn_type="torchbn")
    asp.context[2].stages[0].scale = 1  # the paper's, on the whole map
    aligned = {"mode": "bilinear", "align_corners": True}
    modules = {
        "ocnet_base": BaseOC_Module(16, 16, 8, 8, 0.05, bn_type="torchbn"),
        "ocnet_asp": asp,
        "denseaspp": nn.ModuleList(
            dense(16 + 4 * index, 16, 4, rate, 0.1, bn_start=index > 0)
            for index, rate in enumerate((3, 6, 12, 18, 24))
        ),
        "spnet": nn.Sequential(*(strips(16, (20, 12), nn.BatchNorm2d, aligned) for _ in range(2))),
    }
    x = drawn("map", (2, 16, 13, 18)).double()
    for name, module in modules.items():
        state = {key: filled(key, value) for key, value in module.state_dict().items()}
        for key in state:
            if key.endswith("bias") and cancelled(key):
                state[key].zero_()
        module.load_state_dict(state)
        module.double().eval()
        with torch.no_grad():
            output = densely(module, x) if isinstance(module, nn.ModuleList) else module(x.clone())
        shapes = {key: list(value.shape) for key, value in state.items() if value.ndim}
        path = FOLDER.with_name("authors") / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_file({"output": output.contiguous()}, path, metadata={"shapes": json.dumps(shapes)})
        print(name, tuple(output.shape))


def cancelled(name: str) -> bool:
    """Whether it is the bias of a convolution that a norm follows; ours have none."""
    return (
        re.search(r"(conv_[12]|f_(key|query)\.[02]|context\.0|conv_bn_dropout\.0)\.bias$", name)
        is not None
    )


def densely(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    """Return the input beside what all blocks add, as in the authors' network."""
    for block in blocks:
        x = torch.cat((block(x.clone()), x), dim=1)
    return x


def write_nnunet() -> None:
    """Write every fourth logit of a narrow network of nnU-Net's, at each of its levels."""
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    network = ResidualEncoderUNet(
        input_channels=3,
        n_stages=6,
        features_per_stage=(4, 6, 8, 8, 10, 10),
        conv_op=nn.Conv2d,
        kernel_sizes=3,
        strides=(1, 2, 2, 2, 2, 2),
        n_blocks_per_stage=(1, 2, 1, 1, 1, 1),
        num_classes=CLASSES,
        n_conv_per_stage_decoder=1,
        conv_bias=True,
        norm_op=nn.InstanceNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
    )
    shapes = {}
    with torch.no_grad():
        for key, value in network.named_parameters():  # each once, of the names that it has
            value.copy_(drawn(key, tuple(value.shape)))
            shapes[key] = list(value.shape)
        outputs = network.double().eval()(drawn("image", (1, 3, 64, 96)).double())
    stored = {f"f{n}": y[..., ::4, ::4].contiguous() for n, y in enumerate(outputs[:4])}
    path = FOLDER.with_name("nnunet") / "resunet.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file(stored, path, metadata={"shapes": json.dumps(shapes)})
    print(path.name, *(f"{key} {tuple(value.shape)}" for key, value in stored.items()))


def write_refinements() -> None:
    """Write what mmsegmentation's K-Net and PointRend make of a map of 16 channels."""
    load_mmsegmentation()
    write_points()
    from mmseg.models.decode_heads.knet_head import KernelUpdateHead

    x = drawn("map", (2, 16, 9, 13)).double()
    updator = {"type": "KernelUpdator", "norm_cfg": {"type": "LN"}}
    updator |= dict.fromkeys(("in_channels", "feat_channels", "out_channels"), 16)
    stages = nn.ModuleList(
        KernelUpdateHead(
            num_classes=CLASSES,
            num_heads=4,
            num_mask_fcs=1,
            feedforward_channels=24,
            in_channels=16,
            out_channels=16,
            feat_transform_cfg={"conv_cfg": {"type": "Conv2d"}, "act_cfg": None},
            kernel_updator_cfg=dict(updator),
        )
        for _ in range(2)
    )
    state = {key: drawn(key, tuple(value.shape)) for key, value in stages.state_dict().items()}
    stages.load_state_dict(state)
    kernels = drawn("conv_seg.weight", (CLASSES, 16, 1, 1)).double()
    logits = nn.functional.conv2d(x, kernels)
    kernels = kernels[None].expand(2, -1, -1, -1, -1)
    outputs = {}
    with torch.no_grad():
        for index, stage in enumerate(stages.double().eval()):
            logits, kernels = stage(x, kernels, logits)
            outputs[f"stage_{index}"] = logits.contiguous()
    shapes = {key: list(value.shape) for key, value in state.items()}
    path = FOLDER.with_name("refinements") / "knet.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file(outputs, path, metadata={"shapes": json.dumps(shapes)})
    print(path.name, *(f"{key} {tuple(value.shape)}" for key, value in outputs.items()))


def write_points() -> None:
    """Write what mmsegmentation's PointRend makes of logits at stride 8."""
    from mmseg.models.decode_heads import point_head

    def point_sample(x: Tensor, points: Tensor, align_corners: bool = False) -> Tensor:
        grid = (2 * points[:, :, None] - 1).to(x.dtype)  # mmcv's own needs its compiled operators
        return nn.functional.grid_sample(x, grid, align_corners=align_corners)[..., 0]

    point_head.point_sample = point_sample
    head = point_head.PointHead(
        in_channels=[16], in_index=[0], channels=12, num_classes=CLASSES, dropout_ratio=0
    )
    state = {key: drawn(key, tuple(value.shape)) for key, value in head.state_dict().items()}
    head.load_state_dict(state)
    head.predict_by_feat = lambda logits, *_: logits
    fine = drawn("map", (2, 16, 9, 13)).double()
    logits = drawn("logits", (2, CLASSES, 5, 7)).double()
    settings = SimpleNamespace(subdivision_steps=2, subdivision_num_points=90, scale_factor=2)
    with torch.no_grad():
        found = head.double().eval().predict([fine], logits, [], settings)
    shapes = {key: list(value.shape) for key, value in state.items()}
    path = FOLDER.with_name("refinements") / "pointrend.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file({"logits": found.contiguous()}, path, metadata={"shapes": json.dumps(shapes)})
    print(path.name, tuple(found.shape))


def write_mmsegmentation() -> None:
    """Write the outputs of mmsegmentation's networks."""
    configurations = load_mmsegmentation()
    for name, case in CASES.items():
        network = build(configurations, case)
        state = {key: filled(key, value) for key, value in network.state_dict().items()}
        network.load_state_dict(state)
        network.double().eval()
        outputs = {}
        for size in case.sizes:
            image = drawn("image", (1, 3, *size)).double()
            with torch.no_grad():
                found = case.outputs(network, image)
            label = "x".join(map(str, size))
            outputs |= {f"{label} {key}": value.contiguous() for key, value in found.items()}
        shapes = {key: list(value.shape) for key, value in state.items() if value.ndim}
        meta = {"shapes": json.dumps(shapes), "config": case.config}
        save_file(outputs, FOLDER / f"{name}.safetensors", metadata=meta)
        print(name, *(f"{key} {tuple(value.shape)}" for key, value in outputs.items()))


def build(configurations: Path, case: Case) -> Any:
    """Return mmsegmentation's network of a case."""
    from mmengine.config import Config
    from mmseg.registry import MODELS

    (path,) = configurations.glob(f"*/{case.config}.py")
    settings = Config.fromfile(path).model
    settings.backbone.pop("init_cfg", None)
    case.change(settings)
    for head in [settings.decode_head, *settings.get("auxiliary_head", [])]:
        head.num_classes = CLASSES
    network = MODELS.build(settings)
    if "ham_kwargs" in settings.decode_head:
        bases = torch.zeros(
            1, settings.decode_head.ham_channels, settings.decode_head.ham_kwargs.MD_R
        )
        network.decode_head.hamburger.ham.register_buffer("bases", bases)
    return network


def filled(name: str, tensor: Tensor) -> Tensor:
    """Return the values that a tensor's name stands for; no base is negative."""
    if not tensor.is_floating_point():
        return tensor
    values = drawn(name, tuple(tensor.shape))
    return values.abs() if name.endswith("bases") else values


if __name__ == "__main__":
    main()
