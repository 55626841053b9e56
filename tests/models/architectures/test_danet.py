"""DANet against mmsegmentation's, and the facts of its paper."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.registry import create_model

NAMES = {
    "pam.key_project": "pam.key",
    "pam.query_project": "pam.query",
    "pam.value_project": "pam.value",
    "pam.gamma.scale": "pam.gamma",
    "cam.gamma.scale": "cam.gamma",
    "pam_in_conv": "pam_in",
    "pam_out_conv": "pam_out",
    "cam_in_conv": "cam_in",
    "cam_out_conv": "cam_out",
    "pam_conv_seg": "pam_classifier.conv",
    "cam_conv_seg": "cam_classifier.conv",
}
OPTIONS = {"channels": 16, "attention_channels": 4, "auxiliary_channels": 8}


def test_the_whole_network_equals_mmsegmentation_at_every_size(mmseg_reference):
    reference = mmseg_reference("danet")
    network = reference.network(NAMES, **OPTIONS)
    for case in reference.cases():
        x = reference.io[f"{case}input"].double()
        with torch.no_grad():
            low = network.classifier(network.decoder(network.encoder(x)))
            full = network(x)
        torch.testing.assert_close(low, reference.io[f"{case}logits_lowres_f64"], atol=1e-9, rtol=0)
        torch.testing.assert_close(
            full.float(), reference.io[f"{case}logits_full"], atol=1e-4, rtol=0
        )


def test_all_training_outputs_equal_mmsegmentation(mmseg_reference):
    reference = mmseg_reference("danet")
    network = reference.network(NAMES, **OPTIONS)
    for case in reference.cases():
        features = network.encoder(reference.io[f"{case}input"].double())
        with torch.no_grad():
            aux = network.decoder.forward_train(features).aux
        for ours, theirs in {"pam": "pam_logits", "cam": "cam_logits", "fcn": "aux_logits"}.items():
            torch.testing.assert_close(
                aux[ours].float(), reference.io[f"{case}{theirs}"], atol=1e-4, rtol=0
            )


def test_align_corners_is_followed_in_the_final_resize(mmseg_reference):
    reference = mmseg_reference("danet")
    network = reference.network(NAMES, align_corners=True, **OPTIONS)
    with torch.no_grad():
        full = network(reference.io["input"].double())
    torch.testing.assert_close(full.float(), reference.io["ac.logits_full"], atol=1e-4, rtol=0)


def test_both_attentions_are_the_identity_at_the_start_of_the_built_network():
    network = create_model("danet", encoder="tu-resnet18", num_classes=3)
    x = torch.randn(2, network.decoder.pam.gamma.new_zeros(128).numel(), 5, 7)
    assert torch.equal(network.decoder.pam(x), x)
    assert torch.equal(network.decoder.cam(x), x)


def test_the_three_losses_weigh_the_same_and_the_auxiliary_head_less():
    network = create_model("danet", encoder="tu-resnet18", num_classes=3)
    assert network.aux_weights == {"pam": 1.0, "cam": 1.0, "fcn": 0.4}


@pytest.mark.parametrize("size", [(33, 47), (64, 32)])
def test_logits_have_the_size_of_the_image(size):
    network = create_model("danet", encoder="tu-resnet18", num_classes=3).eval()
    assert network(torch.randn(1, 3, *size)).shape == (1, 3, *size)
