"""Every module has its test file where a reader looks for it, or a line that names the test.

`models/plugins/eca.py` is tested in `tests/models/plugins/test_eca.py`. A module without such a
file stands in `COVERED_BY` with the test that covers it; the line goes once the file exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "training", "service", "maskzoo")

COVERED_BY = {
    "training/config/teacher.py": "tests/training/starts/test_teacher.py",
    "training/losses/teacher.py": "tests/training/starts/test_teacher.py",
    # training/data/find: each through the folders that it reads
    "training/data/find/beside.py": "tests/training/data/find/test_folders.py",
    "training/data/find/defects.py": "tests/training/data/find/described/test_reading.py",
    "training/data/find/trees/content.py": "tests/training/data/find/described/test_reading.py",
    "training/data/records/readings/account.py": "tests/training/data/test_account.py",
    "training/data/files/names.py": "tests/training/data/files/test_listing.py",
    "training/data/find/trees/records.py": "tests/training/data/find/test_folders.py",
    "training/data/find/trees/splits.py": "tests/training/data/find/trees/test_words.py",
    "training/data/find/trees/edges.py": "tests/training/data/find/test_folders.py",
    "training/data/find/trees/joining.py": "tests/training/data/find/described/test_reading.py",
    "training/data/find/trees/readings.py": "tests/training/data/find/described/test_reading.py",
    "training/data/find/trees/templates.py": "tests/training/data/find/described/test_reading.py",
    # models/architectures: all of them also keep tests/models/test_contracts.py
    "models/architectures/a2net.py": "tests/models/architectures/test_authors.py",
    "models/architectures/ann.py": "tests/models/imports/mmseg/test_references.py",
    "models/architectures/apcnet.py": "tests/models/imports/mmseg/test_references.py",
    "models/architectures/dmnet.py": "tests/models/architectures/test_pooled_heads.py",
    "models/architectures/attention_unet.py": "tests/models/architectures/test_attention_heads.py",
    "models/architectures/bisenetv2.py": "tests/models/architectures/test_references.py",
    "models/architectures/ccnet.py": "tests/models/architectures/test_attention_against_mmseg.py",
    "models/architectures/context.py": "tests/models/architectures/test_attention_against_mmseg.py",
    "models/architectures/ddrnet.py": "tests/models/architectures/test_references.py",
    "models/architectures/deeplabv3.py": "tests/models/architectures/test_deeplab.py",
    "models/architectures/deeplabv3plus.py": "tests/models/architectures/test_deeplab.py",
    "models/architectures/denseaspp.py": "tests/models/architectures/test_authors.py",
    "models/architectures/dnlnet.py": "tests/models/architectures/test_attention_heads.py",
    "models/architectures/dpt.py": "tests/models/imports/smp/test_dpt.py",
    "models/architectures/emanet.py": "tests/models/architectures/test_attention_heads.py",
    "models/architectures/encnet.py": "tests/models/architectures/test_attention_heads.py",
    "models/architectures/fcn.py": "tests/models/architectures/test_against_mmseg.py",
    "models/architectures/fpn.py": "tests/models/architectures/test_against_smp.py",
    "models/architectures/gcnet.py": "tests/models/architectures/test_attention_against_mmseg.py",
    "models/architectures/isanet.py": "tests/models/architectures/test_attention_heads.py",
    "models/architectures/linknet.py": "tests/models/architectures/test_against_smp.py",
    "models/architectures/lraspp.py": "tests/models/imports/test_torchvision.py",
    "models/architectures/manet.py": "tests/models/architectures/test_against_smp.py",
    "models/architectures/nonlocal_net.py": (
        "tests/models/architectures/test_attention_against_mmseg.py"
    ),
    "models/architectures/ocnet.py": "tests/models/architectures/test_authors.py",
    "models/architectures/ocrnet.py": "tests/models/architectures/test_attention_heads.py",
    "models/architectures/pan.py": "tests/models/architectures/test_attention_heads.py",
    "models/architectures/pidnet.py": "tests/models/architectures/test_references.py",
    "models/architectures/psanet.py": "tests/models/architectures/test_attention_against_mmseg.py",
    "models/architectures/pspnet.py": "tests/models/architectures/test_against_mmseg.py",
    "models/architectures/segformer.py": "tests/models/architectures/test_against_smp.py",
    "models/architectures/segnext.py": "tests/models/architectures/test_references.py",
    "models/architectures/smp.py": "tests/models/imports/smp/test_importer.py",
    "models/architectures/spnet.py": "tests/models/architectures/test_authors.py",
    "models/architectures/stdc.py": "tests/models/architectures/test_references.py",
    "models/architectures/unetplusplus.py": "tests/models/architectures/test_against_smp.py",
    "models/architectures/upernet.py": "tests/models/architectures/test_against_mmseg.py",
    # models/plugins: all of them also keep tests/models/test_plugin_contracts.py
    "models/plugins/convolution.py": "tests/models/plugins/test_dcn.py",
    "models/plugins/dual.py": "tests/models/plugins/test_pam.py",
    "models/plugins/fpa.py": "tests/models/plugins/test_fpa_gau.py",
    "models/plugins/gau.py": "tests/models/plugins/test_fpa_gau.py",
    # models
    "models/builtin_labels.py": "tests/models/test_labels.py",
    "models/registry.py": "tests/models/test_plugins.py",
    "models/tables/architectures.py": "tests/models/test_contracts.py",
    "models/tables/plugins.py": "tests/models/test_plugins.py",
    "models/bundles/shipped.py": "tests/test_cli.py",
    "models/catalogue/records.py": "tests/models/catalogue/test_discovery.py",
    "models/engines/base.py": "tests/models/engines/test_answers.py",
    "models/engines/graphs/check.py": "tests/models/engines/graphs/test_engine.py",
    "models/engines/graphs/fused.py": "tests/models/export/test_fused.py",
    "models/engines/graphs/device.py": "tests/models/engines/graphs/test_on_gpu.py",
    "models/engines/graphs/lanes.py": "tests/models/engines/graphs/test_engine.py",
    "models/engines/graphs/program.py": "tests/models/engines/graphs/test_engine.py",
    "models/images/pillow.py": "tests/models/images/test_samples.py",
    "models/images/tiff_rows.py": "tests/models/images/test_rows.py",
    "models/inference/segmentation.py": "tests/models/inference/test_predictor.py",
    "models/network/bodies/early.py": "tests/models/imports/test_torchvision.py",
    "models/network/bodies/tokens.py": "tests/models/imports/smp/test_dpt.py",
    "models/network/decoder.py": "tests/models/test_contracts.py",
    "models/network/encoders.py": "tests/models/test_plugins.py",
    "models/network/neck.py": "tests/models/test_plugins.py",
    "models/network/network.py": "tests/models/test_contracts.py",
    "models/weights/matching.py": "tests/models/weights/test_source.py",
    "models/network/own/bisenetv2.py": "tests/models/architectures/test_references.py",
    "models/network/own/dual.py": "tests/models/architectures/test_references.py",
    "models/network/own/mscan.py": "tests/models/architectures/test_references.py",
    "models/network/own/resenc.py": "tests/models/architectures/test_resunet.py",
    "models/network/own/stdc.py": "tests/models/architectures/test_references.py",
    "models/sites/attach.py": "tests/models/test_plugins.py",
    "models/sites/downsampling.py": "tests/models/test_plugins.py",
    "models/sites/sites.py": "tests/models/test_plugins.py",
    # training
    "training/config/losses.py": "tests/training/losses/test_contracts.py",
    "training/config/section.py": "tests/training/config/test_settings.py",
    "training/config/transforms.py": "tests/training/config/test_augment.py",
    "training/data/records/shape.py": "tests/training/data/drawing/test_painter.py",
    "training/data/find/ade20k.py": "tests/training/data/shapes/segments/test_ade20k.py",
    "training/data/find/annotated.py": "tests/training/data/shapes/test_via.py",
    "training/data/find/panoptic.py": "tests/training/data/shapes/segments/test_panoptic.py",
    "training/data/records/description.py": (
        "tests/training/data/find/described/test_description.py"
    ),
    "training/data/records/facts.py": "tests/training/data/scan/test_scan.py",
    "training/data/records/interpretation.py": "tests/training/data/masks/test_detect.py",
    "training/data/records/samples.py": "tests/training/data/find/test_splits.py",
    "training/data/shapes/listed.py": "tests/training/data/shapes/test_via.py",
    "training/loggers/csv_table.py": "tests/training/loggers/test_sinks.py",
    "training/loggers/mlflow_run.py": "tests/training/loggers/test_sinks.py",
    "training/loggers/progress.py": "tests/training/run/test_fit.py",
    "training/loggers/scalars.py": "tests/training/loggers/test_sinks.py",
    "training/loggers/tensorboard.py": "tests/training/loggers/test_sinks.py",
    "training/loggers/wandb_run.py": "tests/training/loggers/test_sinks.py",
    "training/losses/planes.py": "tests/training/losses/test_overlap.py",
    "training/run/parts.py": "tests/training/run/test_build.py",
    "training/steps/batches.py": "tests/training/run/test_build.py",
    # service
    "service/answering/network.py": "tests/service/answering/test_segment.py",
    "service/fronts/part.py": "tests/service/fronts/test_supervisor.py",
    "service/fronts/run.py": "tests/service/fronts/test_supervisor.py",
    "service/assembly.py": "tests/service/test_app.py",
    "service/server.py": "tests/service/test_lifecycle.py",
    "service/decoding/process.py": "tests/service/decoding/test_pool.py",
    "service/decoding/worker.py": "tests/service/decoding/test_pool.py",
    "service/adapters/huggingface.py": "tests/service/adapters/test_routes.py",
    "service/adapters/label_studio.py": "tests/service/adapters/test_dialects.py",
    "service/adapters/label_studio_images.py": "tests/service/adapters/test_routes.py",
    "service/adapters/run.py": "tests/service/adapters/test_routes.py",
    "service/inputs/bodies.py": "tests/service/routes/test_bodies.py",
    "service/inputs/forms.py": "tests/service/routes/test_bodies.py",
    "service/inputs/json_bodies.py": "tests/service/routes/test_bodies.py",
    "service/inputs/options.py": "tests/service/routes/test_segment.py",
    "service/inputs/submissions.py": "tests/service/routes/test_bodies.py",
    "service/inputs/uploads.py": "tests/service/routes/test_bodies.py",
    "service/jobs/intake.py": "tests/service/routes/test_jobs.py",
    "service/jobs/records.py": "tests/service/jobs/test_sqlite.py",
    "service/jobs/room.py": "tests/service/jobs/test_runner.py",
    "service/responses/archive.py": "tests/service/responses/test_formats.py",
    "service/responses/multipart.py": "tests/service/routes/test_bodies.py",
    "service/responses/outcomes.py": "tests/service/routes/test_bodies.py",
    "service/responses/documents.py": "tests/service/responses/test_formats.py",
    "service/responses/geotiff.py": "tests/service/inputs/test_georeference.py",
    "service/responses/images.py": "tests/service/responses/test_formats.py",
    "service/responses/mixed.py": "tests/service/routes/test_bodies.py",
    "service/shapes/places.py": "tests/service/inputs/test_georeference.py",
    "service/routes/adapters.py": "tests/service/adapters/test_routes.py",
    "service/routes/metrics.py": "tests/service/observability/test_metrics.py",
    "service/routes/oip.py": "tests/service/adapters/test_oip.py",
    "service/state.py": "tests/service/test_app.py",
    # imports
    "models/export/smp_dpt.py": "tests/models/imports/smp/test_dpt.py",
    "models/imports/record.py": "tests/models/imports/mmseg/test_importer.py",
    "models/imports/huggingface/record.py": "tests/models/imports/huggingface/test_importer.py",
    "models/imports/smp/arguments.py": "tests/models/imports/smp/test_importer.py",
    "models/imports/mmseg/network.py": "tests/models/imports/mmseg/test_importer.py",
    "models/imports/mmseg/heads/record.py": "tests/models/imports/mmseg/test_references.py",
    "models/imports/mmseg/heads/table.py": "tests/models/imports/mmseg/test_references.py",
    "models/imports/mmseg/heads/attention.py": "tests/models/imports/mmseg/test_references.py",
    "models/imports/mmseg/heads/context.py": "tests/models/imports/mmseg/test_references.py",
    "models/imports/mmseg/heads/pooled.py": "tests/models/imports/mmseg/test_references.py",
    "models/imports/mmseg/heads/regions.py": "tests/models/imports/mmseg/test_references.py",
    "models/imports/mmseg/heads/plain.py": "tests/models/imports/mmseg/test_references.py",
    # weights
    "models/weights/builtin.py": "tests/models/weights/test_source.py",
    "models/weights/names.py": "tests/models/weights/test_source.py",
    # commands
    "maskzoo/__main__.py": "tests/test_cli.py",
    "maskzoo/console.py": "tests/test_cli.py",
    "maskzoo/commands/augment_preview.py": "tests/training/test_commands.py",
    "maskzoo/commands/bench.py": "tests/service/client/test_bench.py",
    "maskzoo/commands/compare.py": "tests/training/scoring/test_compare.py",
    "maskzoo/commands/doctor.py": "tests/test_cli.py",
    "maskzoo/commands/encoders.py": "tests/models/catalogue/test_encoders.py",
    "maskzoo/commands/evaluate.py": "tests/test_one_score.py",
    "maskzoo/commands/export.py": "tests/models/engines/test_check.py",
    "maskzoo/commands/imports.py": "tests/models/imports/mmseg/test_importer.py",
    "maskzoo/commands/inspect.py": "tests/training/test_commands.py",
    "maskzoo/commands/key.py": "tests/test_import_name.py",
    "maskzoo/commands/models.py": "tests/test_cli.py",
    "maskzoo/commands/plugins.py": "tests/test_cli.py",
    "maskzoo/commands/predict.py": "tests/test_cli.py",
    "maskzoo/commands/race.py": "tests/test_readme.py",
    "maskzoo/commands/report.py": "tests/test_readme.py",
    "maskzoo/commands/serve.py": "tests/test_cli.py",
    "maskzoo/commands/zoo.py": "tests/models/imports/mmseg/test_pull.py",
    "maskzoo/commands/train.py": "tests/training/test_commands.py",
}


def own_test(module: Path) -> Path:
    """Return where a reader looks for the test of a module; both relative to the root."""
    parts = module.parts[1:] if module.parts[0] == "maskzoo" else module.parts
    return Path("tests", *parts[:-1], f"test_{module.name}")


def modules() -> Iterator[Path]:
    """Yield the modules of all packages, relative to the root.

    Not `__init__.py`, which holds a docstring or public names, and each once: maskzoo/ has links to
    the other packages.
    """
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            module = file.relative_to(ROOT)
            linked = package == "maskzoo" and module.parts[1] in PACKAGES
            drawing = "samples" in module.parts  # the script that draws the page's samples
            if not (linked or drawing or module.name == "__init__.py"):
                yield module


MODULES = sorted(modules())


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_has_its_test_file_or_a_line_that_names_its_test(module: Path) -> None:
    named = COVERED_BY.get(str(module))
    if (ROOT / own_test(module)).is_file():
        assert named is None, f"remove its line from COVERED_BY: {own_test(module)} exists"
    else:
        assert named is not None, f"write {own_test(module)}, or name its test in COVERED_BY"
        assert (ROOT / named).is_file(), f"{named} does not exist"


def test_no_line_is_left_of_a_module_that_is_gone() -> None:
    assert COVERED_BY.keys() - {str(module) for module in MODULES} == set()
