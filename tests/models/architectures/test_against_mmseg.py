"""Architectures against mmsegmentation's, on the same weights: logits at every size."""

from __future__ import annotations

import pytest
import torch

_PPM = {f"psp_modules.{i}.1": f"ppm.branches.{i}" for i in range(4)}
_ASPP = {
    "image_pool.1": "aspp.pool",
    "aspp_modules": "aspp.branches",
    "bottleneck": "aspp.project",
}
_SEPARABLE = {
    f"{theirs}.{i}.{part}_conv": f"{ours}.{i}.{part}"
    for theirs, ours in {"aspp_modules": "aspp.branches", "sep_bottleneck": "fuse"}.items()
    for i in range(4)
    for part in ("depthwise", "pointwise")
}

_UPERNET = (
    _PPM
    | {"bottleneck": "ppm.bottleneck"}
    | {"lateral_convs": "laterals", "fpn_convs": "smooth", "fpn_bottleneck": "fuse"}
)

# architecture -> (prefixes of mmsegmentation's decode head -> ours, options at the tiny width)
REFERENCES = {
    "pspnet": (_PPM | {"bottleneck": "ppm.bottleneck"}, {"channels": 16}),
    "deeplabv3": (_ASPP, {"channels": 16, "rates": (6, 12, 18)}),
    "deeplabv3plus": (
        _SEPARABLE | {"c1_bottleneck": "low"} | _ASPP,
        {"channels": 16, "low_channels": 6, "rates": (6, 12, 18)},
    ),
    "fcn": ({"conv_cat": "join"}, {"channels": 16}),
    "upernet": (_UPERNET, {"channels": 16}),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_the_whole_network_equals_mmsegmentation_at_every_size(name, mmseg_reference):
    names, options = REFERENCES[name]
    reference = mmseg_reference(name)
    network = reference.network(names, auxiliary_channels=8, **options)
    for case in reference.cases():
        x = reference.io[f"{case}input"].double()
        with torch.no_grad():
            low = network.classifier(network.decoder(network.encoder(x)))
            full = network(x)
        torch.testing.assert_close(low, reference.io[f"{case}logits_lowres_f64"], atol=1e-9, rtol=0)
        wanted = reference.io[f"{case}logits_full"]  # computed in float32
        torch.testing.assert_close(
            full.float(), wanted, atol=2e-5 * float(wanted.abs().max()), rtol=0
        )


@pytest.mark.parametrize("name", REFERENCES)
def test_auxiliary_logits_equal_mmsegmentation(name, mmseg_reference):
    names, options = REFERENCES[name]
    reference = mmseg_reference(name)
    network = reference.network(names, auxiliary_channels=8, **options)
    for case in reference.cases():
        with torch.no_grad():
            features = network.encoder(reference.io[f"{case}input"].double())
            aux = network.decoder.forward_train(features).aux["fcn"]
        torch.testing.assert_close(
            aux.float(), reference.io[f"{case}aux_logits"], atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("name", REFERENCES)
def test_align_corners_is_followed_in_every_resize(name, mmseg_reference):
    names, options = REFERENCES[name]
    reference = mmseg_reference(name)
    network = reference.network(names, auxiliary_channels=8, align_corners=True, **options)
    x = reference.io["input"].double()
    with torch.no_grad():
        low = network.classifier(network.decoder(network.encoder(x)))
        full = network(x)
    torch.testing.assert_close(low.float(), reference.io["ac.logits_lowres"], atol=1e-4, rtol=0)
    torch.testing.assert_close(full.float(), reference.io["ac.logits_full"], atol=1e-4, rtol=0)
