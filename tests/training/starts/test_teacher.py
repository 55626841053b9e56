"""A run that is taught by a bundle: what is learned, what is refused, what is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor

from maskzoo.models.bundles.bundle import load_bundle, save_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.errors import SpecError, UnknownNameError, ZooError
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Band, Bands, Preprocessing
from maskzoo.training.config.losses import CrossEntropyTerm
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.config.teacher import TeacherConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.losses.distillation import (
    attention_distance,
    channel_divergence,
    pixel_divergence,
)
from maskzoo.training.losses.teacher import Teacher
from maskzoo.training.losses.total import SegmentationLoss
from maskzoo.training.run.fit import train
from maskzoo.training.starts.teacher import open_teacher
from maskzoo.training.steps.passes import EagerPasses
from tests.models import tiny as tiny_networks

MakeBundle = Callable[..., Path]


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    def make(names: Sequence[str], *, seed: int = 7) -> Path:
        return save_bundle(
            tmp_path / "private" / "expert",
            tiny_networks.build("fpn", seed, num_classes=len(names)),
            name="expert",
            labels=LabelSet.from_names(names),
            preprocessing=Preprocessing(mean=(0.4,) * 3, std=(0.2,) * 3),
            dtype="float32",
        )

    return make


def opened(bundle: Path, names: Sequence[str], **weights: float) -> Teacher:
    teacher = open_teacher(
        TeacherConfig(bundle=str(bundle), **weights),
        LabelSet.from_names(names),
        None,
        device=torch.device("cpu"),
        channels_last=False,
    )
    assert teacher is not None
    return teacher


def pixels() -> Tensor:
    random = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=random)


def test_settings_without_a_bundle_open_no_teacher() -> None:
    labels = LabelSet.from_names(["a", "b"])
    device = torch.device("cpu")
    assert open_teacher(TeacherConfig(), labels, None, device=device, channels_last=False) is None


def test_a_teacher_answers_in_the_order_of_the_datas_classes(make_bundle: MakeBundle) -> None:
    path = make_bundle(["sky", "Disc", "ground"])
    answer = opened(path, ["ground", "disc"]).answer(pixels())
    alone = load_bundle(path).network.eval()
    with torch.no_grad():
        expected = alone((pixels().float() / 255 - 0.4) / 0.2)[:, [2, 1]]
    torch.testing.assert_close(answer.logits, expected, atol=1e-5, rtol=1e-4)


def test_a_teacher_without_a_class_of_the_data_is_refused_with_both_lists(
    make_bundle: MakeBundle,
) -> None:
    with pytest.raises(SpecError, match="does not know car; its classes are a, b, those of the da"):
        opened(make_bundle(["a", "b"]), ["b", "car"])


def test_a_teacher_of_other_bands_is_refused(make_bundle: MakeBundle) -> None:
    channels = tuple(
        Band(number=number, name=f"band {number}", low=0, high=1, fill=0) for number in range(1, 5)
    )
    bands = Bands(in_file=4, dtype="uint16", channels=channels)
    with pytest.raises(SpecError, match="takes images of RGB, and the data has 4 bands"):
        open_teacher(
            TeacherConfig(bundle=str(make_bundle(["a", "b"]))),
            LabelSet.from_names(["a", "b"]),
            bands,
            device=torch.device("cpu"),
            channels_last=False,
        )


def test_a_pass_adds_the_teachers_terms_to_the_loss_and_leaves_the_teacher_alone(
    make_bundle: MakeBundle,
) -> None:
    weights = {"pixels": 0.5, "channels": 3.0, "features": 2.0, "temperature": 4.0}
    teacher = opened(make_bundle(["a", "b"]), ["a", "b"], **weights)
    before = {name: tensor.clone() for name, tensor in teacher.network.state_dict().items()}
    fabric = Fabric(accelerator="cpu", devices=1)
    network = tiny_networks.build("unet", num_classes=2).train()
    module = fabric.setup(network)
    module.mark_forward_method("forward_train")
    loss = SegmentationLoss(
        (CrossEntropyTerm(),),
        ignore_index=255,
        class_weights=None,
        aux_weights=network.aux_weights,
        scene_weight=0,
    )
    normalise = Normalise((0.5,) * 3, (0.25,) * 3, device=fabric.device)
    target = torch.randint(0, 2, (2, 64, 64))
    found = []
    for taught_by in (None, teacher):
        passes = EagerPasses(
            fabric, module, module.forward_train, loss, normalise=normalise, teacher=taught_by
        )
        torch.manual_seed(0)
        found.append(passes.take(pixels(), target, fraction=1.0, is_last=True))
    (alone, _), (together, parts) = found
    torch.manual_seed(0)
    student, answer = network.forward_train(normalise(pixels())), teacher.answer(pixels())
    terms = {
        "pixels": pixel_divergence(student.logits, answer.logits, temperature=4),
        "channels": channel_divergence(student.logits, answer.logits, temperature=4),
        "features": attention_distance(student.features[3:], answer.features[3:]),
    }
    expected = alone + sum(weights[name] * value for name, value in terms.items())
    torch.testing.assert_close(together, expected.detach())
    for name, value in terms.items():
        torch.testing.assert_close(parts[f"teacher_{name}"], value.detach())
    assert all(p.grad is None for p in teacher.network.parameters())
    for name, tensor in teacher.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_run_records_its_teacher_and_does_not_resume_with_another(
    make_bundle: MakeBundle,
    discs: Path,
    tiny: Callable[..., TrainConfig],
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
) -> None:
    path, run_dir = make_bundle(["disc", "ground"]), tmp_path / "run"
    config = tiny(f"teacher.bundle={path}", "teacher.features=1", "max_steps=2")
    result = train(discs, config, run_dir=run_dir, display=display)
    assert "taught by bundle expert" in shown()
    provenance = read_manifest(result.bundle).provenance
    assert provenance.teacher == "expert"
    assert provenance.teacher_sha256 == read_manifest(path).weights_sha256
    assert "private" not in json.dumps(provenance.model_dump())
    steps = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    assert any("teacher_pixels" in json.dumps(step) for step in steps)
    assert train(discs, None, run_dir=run_dir, resume=True, display=display).bundle.is_dir()
    make_bundle(["disc", "ground"], seed=8)
    with pytest.raises(ZooError, match="has other weights than when this run started"):
        train(discs, None, run_dir=run_dir, resume=True, display=display)


def test_a_teacher_that_does_not_exist_is_an_error_before_the_data_are_read(
    tiny: Callable[..., TrainConfig], tmp_path: Path, display: Display
) -> None:
    with pytest.raises(UnknownNameError, match="no-such"):
        train(
            tmp_path / "no-data", tiny("teacher.bundle=no-such"), run_dir=tmp_path, display=display
        )
