"""The predictor: sizes, modes, threads, timings; with a fake network and a real one."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from maskzoo import create_model, save_bundle
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.errors import (
    ImageFormatError,
    ImageTooLargeError,
    ShapeError,
    UnknownNameError,
)
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing, SlidingWindow

COLOURS = LabelSet(names=("red", "green", "blue"), colours=((255, 0, 0), (0, 255, 0), (0, 0, 255)))
PLAIN = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Brightest(nn.Module):
    """Its logits are the input's channels, at a stride."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        return F.avg_pool2d(x, self.stride) * 10


def predictor(network: nn.Module | None = None, **options: object) -> Predictor:
    return Predictor(network or Brightest(), COLOURS, PLAIN, device="cpu", **options)


def scene(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def png(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    torch.manual_seed(0)
    encoder = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}
    network = create_model(
        "danet", encoder="tu-resnet18", encoder_options=encoder, num_classes=3, output_stride=8
    )
    return network.eval()


def test_the_labels_are_the_largest_logits():
    pixels = scene()
    found = predictor().segment(pixels)
    np.testing.assert_array_equal(found.label_map, pixels.argmax(-1))
    share = F.softmax(torch.from_numpy(pixels / 255 * 10), dim=-1).amax(-1)
    np.testing.assert_allclose(found.confidence, share, atol=1e-3)
    assert found.labels is COLOURS
    assert found.mode == "whole"
    assert (
        found.class_counts().tolist() == np.bincount(found.label_map.ravel(), minlength=3).tolist()
    )


def test_a_read_only_array_is_taken():
    pixels = scene()
    pixels.setflags(write=False)
    np.testing.assert_array_equal(predictor().segment(pixels).label_map, pixels.argmax(-1))


def test_timings_name_every_stage():
    timings = predictor().segment(png(scene())).timings
    assert list(timings) == ["decode", "preprocess", "network", "postprocess"]
    assert all(seconds >= 0 for seconds in timings.values())


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (100, 1), (31, 33), (40, 60), (2, 300)])
@pytest.mark.parametrize("mode", ["auto", "whole", "resize", "tiled"])
def test_the_mask_has_the_images_size(size, mode):
    network = Brightest()
    found = predictor(network, whole_pixels=1000).segment(scene(*size), PredictOptions(mode=mode))
    assert found.label_map.shape == found.confidence.shape == size
    assert min(network.seen[0][2:]) >= 32


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (37, 1), (33, 65)])
def test_a_real_network_takes_any_size(tiny, size):
    found = predictor(tiny).segment(scene(*size))
    assert found.label_map.shape == size


def test_padding_does_not_change_what_lies_inside():
    pixels = scene(20, 24)
    np.testing.assert_array_equal(predictor().segment(pixels).label_map, pixels.argmax(-1))


def test_logits_are_the_networks(tiny):
    pixels = scene()
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        expected = tiny(x)[0].numpy()
    found = predictor(tiny).logits([pixels])[0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    labels = predictor(tiny).segment(pixels).label_map
    assert (labels == found.argmax(0)).mean() > 0.999


def test_a_network_with_aligned_corners_keeps_its_own_resize():
    torch.manual_seed(0)
    network = create_model(
        "pspnet",
        encoder="tu-resnet18",
        encoder_options={"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]},
        num_classes=3,
        align_corners=True,
    ).eval()
    pixels = scene()
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)[0].numpy()
    np.testing.assert_allclose(predictor(network).logits([pixels])[0], expected, atol=1e-4)


def test_resize_shrinks_to_the_bundles_side_and_comes_back():
    network = Brightest()
    small = Preprocessing(mean=PLAIN.mean, std=PLAIN.std, max_side=64)
    shrinking = Predictor(network, COLOURS, small, device="cpu")
    pixels = scene(96, 128)
    found = shrinking.segment(pixels, PredictOptions(mode="auto"))
    assert (found.mode, network.seen[-1]) == ("resize", (1, 3, 48, 64))
    assert found.label_map.shape == (96, 128)
    assert (found.label_map == pixels.argmax(-1)).mean() > 0.95
    assert shrinking.segment(pixels, PredictOptions(mode="whole")).mode == "whole"
    assert network.seen[-1] == (1, 3, 96, 128)


def test_auto_tiles_images_over_the_limit_where_no_side_is_set():
    network = Brightest()
    limited = predictor(network, whole_pixels=48 * 64)
    assert limited.segment(scene(48, 64)).mode == "whole"
    assert limited.segment(scene(96, 128)).mode == "tiled"
    assert limited.segment(scene(96, 128), PredictOptions(mode="resize")).mode == "resize"
    assert network.seen == [(1, 3, 48, 64), (1, 3, 96, 128), (1, 3, 48, 64)]


def test_coarse_logits_are_resized_to_the_image():
    pixels = scene(64, 96)
    found = predictor(Brightest(stride=8)).segment(pixels)
    assert found.label_map.shape == (64, 96)
    assert (found.label_map == pixels.argmax(-1)).mean() > 0.8


def test_a_file_gives_what_its_pixels_give(tmp_path: Path):
    pixels = scene()
    path = tmp_path / "image.png"
    path.write_bytes(png(pixels))
    expected = predictor().segment(pixels)
    for source in (path, path.read_bytes()):
        found = predictor().segment(source)
        np.testing.assert_array_equal(found.label_map, expected.label_map)
        assert found.info.format == "PNG"
    assert expected.info is None


def test_the_mask_of_a_turned_photo_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = scene()
    found = predictor().segment(png(pixels, exif=exif))
    np.testing.assert_array_equal(found.label_map, np.rot90(pixels, -1).argmax(-1))


def test_confidence_can_be_left_out():
    assert predictor().segment(scene(), PredictOptions(confidence=False)).confidence is None


def test_a_network_of_one_channel_sees_grey():
    class Threshold(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([0.5 - x, x - 0.5], dim=1)

    grey = Preprocessing(mean=(0.0,), std=(1.0,))
    pixels = np.repeat(scene()[..., :1], 3, axis=-1)
    found = Predictor(Threshold(), LabelSet.generic(2), grey, device="cpu").segment(pixels)
    np.testing.assert_array_equal(found.label_map, pixels[..., 0] > 127)


def test_a_predictor_has_no_memory():
    one = predictor()
    first = one.segment(scene(seed=1))
    one.segment(scene(33, 57, seed=2))
    again = one.segment(scene(seed=1))
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.confidence, again.confidence)


def test_eight_threads_give_bit_equal_results(tiny):
    shared_one = predictor(tiny)
    images = [scene(24 + 3 * index, 40 + index, seed=index) for index in range(8)]
    alone = [shared_one.segment(image) for image in images]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(shared_one.segment, images * 4))
    for index, found in enumerate(together):
        np.testing.assert_array_equal(found.label_map, alone[index % 8].label_map)
        np.testing.assert_array_equal(found.confidence, alone[index % 8].confidence)


def test_predicting_keeps_no_graph(tiny):
    tiny.zero_grad()
    predictor(tiny).segment(scene())
    assert all(parameter.grad is None for parameter in tiny.parameters())


def test_a_network_in_training_is_put_into_evaluation(tiny):
    tiny.train()
    before = {key: value.clone() for key, value in tiny.state_dict().items()}
    predictor(tiny).segment(scene())
    assert not tiny.training
    for key, value in tiny.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_a_bundle_predicts_as_its_network_does(tiny, tmp_path):
    save_bundle(
        tmp_path / "demo", tiny, name="demo", labels=COLOURS, preprocessing=PLAIN, dtype="float32"
    )
    loaded = Predictor.from_bundle(tmp_path / "demo", device="cpu")
    np.testing.assert_array_equal(
        loaded.segment(scene()).label_map, predictor(tiny).segment(scene()).label_map
    )
    with pytest.raises(UnknownNameError, match="unknown engine 'tourch'; did you mean 'torch'"):
        Predictor.from_bundle(tmp_path / "demo", engine="tourch")


def test_a_shipped_bundle_is_loaded_by_its_name():
    by_name = Predictor.from_bundle("nuclei", engine="torch", device="cpu")
    by_folder = Predictor.from_bundle(find_bundle("nuclei"), engine="torch", device="cpu")
    assert by_name.labels.names == ("background", "foreground")
    np.testing.assert_array_equal(
        by_name.segment(scene()).label_map, by_folder.segment(scene()).label_map
    )
    with pytest.raises(UnknownNameError, match="unknown bundle 'nucleus'; did you mean 'nuclei'"):
        Predictor.from_bundle("nucleus")


@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        (
            lambda p: p.segment(scene(), PredictOptions(mode="tiles")),
            UnknownNameError,
            "unknown mode 'tiles'",
        ),
        (lambda p: p.segment(scene()[..., 0]), ShapeError, "takes uint8"),
        (lambda p: p.segment(scene().astype(float)), ShapeError, "image is float64"),
        (lambda p: p.segment(b"hello"), ImageFormatError, "not a readable image"),
        (lambda p: p.segment(png(scene(80, 80))), ImageTooLargeError, "80 x 80"),
    ],
)
def test_wrong_inputs_are_refused(call, error, reason):
    with pytest.raises(error, match=reason):
        call(predictor(max_pixels=5000))


def test_network_labels_and_preprocessing_must_fit():
    with pytest.raises(ShapeError, match="gives 3 classes and the label set has 4"):
        Predictor(Brightest(), LabelSet.generic(4), PLAIN, device="cpu").segment(scene())


def test_an_unknown_device_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown device 'tpu'; did you mean 'cpu'"):
        Predictor(Brightest(), COLOURS, PLAIN, device="tpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_nearly_what_the_cpu_gives(tiny):
    import copy

    pixels = scene(96, 128)
    there = Predictor(copy.deepcopy(tiny), COLOURS, PLAIN, device="cuda")
    found, expected = there.segment(pixels), predictor(tiny).segment(pixels)
    assert found.label_map.shape == expected.label_map.shape
    assert (found.label_map == expected.label_map).mean() > 0.98  # bfloat16 autocast
    np.testing.assert_allclose(
        there.logits([pixels])[0], predictor(tiny).logits([pixels])[0], atol=0.02, rtol=0.05
    )


def test_a_bundles_window_slides_over_every_image_in_auto_and_tiled_and_not_in_whole():
    window = SlidingWindow(size=(64, 80), stride=(40, 50))
    preprocessing = PLAIN.model_copy(update={"window": window})
    network = Brightest()
    sliding = Predictor(network, COLOURS, preprocessing, device="cpu")
    image = scene(130, 100)
    found = {mode: sliding.segment(image, PredictOptions(mode=mode)) for mode in ("auto", "tiled")}
    assert found["auto"].mode == "tiled"
    assert network.seen == [(1, 3, 64, 80)] * 12
    assert np.array_equal(found["auto"].label_map, found["tiled"].label_map)
    assert np.array_equal(found["auto"].label_map, predictor().segment(image).label_map)
    sliding.segment(image, PredictOptions(mode="whole"))
    assert network.seen[-1] == (1, 3, 130, 100)


def test_a_window_that_memory_is_too_short_for_gives_way_to_smaller_tiles():
    window = SlidingWindow(size=(512, 512), stride=(300, 300))
    preprocessing = PLAIN.model_copy(update={"window": window})
    sliding = Predictor(Brightest(), COLOURS, preprocessing, device="cpu", max_tile=128)
    tiles = sliding.plan((300, 300)).tiles
    assert tiles.rows.max_size == 128
