"""Attention architectures against mmsegmentation's, on the same weights, at every size."""

from __future__ import annotations

import pytest
import torch

# The head that these have in common: convs.0, a block, convs.1, conv_cat.
_CONTEXT = {"convs.0": "before", "convs.1": "after", "conv_cat": "fuse"}

# architecture -> (prefixes of mmsegmentation's decode head -> ours, options at the tiny width)
REFERENCES = {
    "nonlocal": (
        {
            **{f"nl_block.{part}.conv": f"mechanism.{part}" for part in ("g", "theta", "phi")},
            "nl_block.conv_out": "mechanism.out",
            **_CONTEXT,
        },
        {},
    ),
    "gcnet": (
        {
            "gc_block.conv_mask": "mechanism.mask",
            "gc_block.channel_add_conv": "mechanism.add",
            **_CONTEXT,
        },
        {},
    ),
    "ccnet": (
        {
            **{f"cca.{part}_conv": f"mechanism.{part}" for part in ("query", "key", "value")},
            "cca.gamma.scale": "mechanism.gamma",
            **_CONTEXT,
        },
        {},
    ),
    "emanet": (
        {
            "ema_module.bases": "emau.bases.stored",
            "ema_in_conv": "before",
            "ema_mid_conv.conv": "emau.project",
            "ema_out_conv": "emau.out",
            "bottleneck": "after",
            "conv_cat": "fuse",
        },
        {"attention_channels": 24, "bases": 8, "variant": "mmseg"},
    ),
    "encnet": (
        {
            "enc_module.encoding_project": "encoding.project",
            "enc_module.encoding.0": "encoding.encoding",
            "enc_module.encoding.1": "encoding.norm",
            "enc_module.fc.0": "encoding.gate",
            "se_layer": "scene",
        },
        {"codes": 8},
    ),
    "psanet": (
        {
            "reduce_p": "psa.branches.distribute.reduce",
            "reduce": "psa.branches.collect.reduce",
            "attention_p": "psa.branches.distribute.attention",
            "attention": "psa.branches.collect.attention",
            "proj": "psa.proj",
            "bottleneck": "fuse",
        },
        {"mask_size": (13, 13), "variant": "mmseg"},
    ),
}


def _reference(name, mmseg_reference, **more):
    names, options = REFERENCES[name]
    reference = mmseg_reference(name)
    return reference, reference.network(
        names, channels=16, auxiliary=True, auxiliary_channels=8, **options, **more
    )


@pytest.mark.parametrize("name", REFERENCES)
def test_the_whole_network_equals_mmsegmentation_at_every_size(name, mmseg_reference):
    reference, network = _reference(name, mmseg_reference)
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
    reference, network = _reference(name, mmseg_reference)
    for case in reference.cases():
        with torch.no_grad():
            features = network.encoder(reference.io[f"{case}input"].double())
            aux = network.decoder.forward_train(features).aux["fcn"]
        torch.testing.assert_close(
            aux.float(), reference.io[f"{case}aux_logits"], atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("name", REFERENCES)
def test_align_corners_is_followed_in_every_resize(name, mmseg_reference):
    reference, network = _reference(name, mmseg_reference, align_corners=True)
    x = reference.io["input"].double()
    with torch.no_grad():
        low = network.classifier(network.decoder(network.encoder(x)))
        full = network(x)
    torch.testing.assert_close(low.float(), reference.io["ac.logits_lowres"], atol=1e-4, rtol=0)
    torch.testing.assert_close(full.float(), reference.io["ac.logits_full"], atol=1e-4, rtol=0)
