"""mmsegmentation's HRNets as timm's, which have the same tensors under the same names.

What differs is how branches exchange their maps, see `models.network.hrnet`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.backbone import BackboneMap
from maskzoo.models.imports.mmseg.section import Section

# (width of the finest branch, bottlenecks of the first stage) -> timm's network
_NAMES = {
    (18, 2): "tu-hrnet_w18_small_v2",
    (18, 4): "tu-hrnet_w18",
    (30, 4): "tu-hrnet_w30",
    (32, 4): "tu-hrnet_w32",
    (40, 4): "tu-hrnet_w40",
    (44, 4): "tu-hrnet_w44",
    (48, 4): "tu-hrnet_w48",
    (64, 4): "tu-hrnet_w64",
}


def read_hrnet(settings: Section, state: Mapping[str, Tensor]) -> BackboneMap:
    """Read an HRNet; its modules and blocks are counted by the tensors.

    Raises:
        WeightsError: timm has no HRNet of that width.
    """
    settings.skip("type", "extra", "in_channels", "multiscale_output")
    finest = state.get("stage4.0.branches.0.0.conv1.weight")
    width = 0 if finest is None else int(finest.shape[0])
    blocks = len({key.split(".")[1] for key in state if key.startswith("layer1.")})
    if (width, blocks) not in _NAMES:
        raise WeightsError(
            f"the backbone is an HRNet of width {width} with {blocks} blocks in its first stage; "
            f"maskzoo has {', '.join(f'{w} with {b}' for w, b in _NAMES)}"
        )
    options = {"feature_location": "", "exchange": "bilinear"}
    return BackboneMap(_NAMES[width, blocks], 32, dict(options))
