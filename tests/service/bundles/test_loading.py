"""One load: the predictor and the record that belong together, measured."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from maskzoo.models.bundles.manifest import WEIGHTS_FILE, read_manifest
from maskzoo.models.errors import BundleError
from maskzoo.service.bundles.catalog import FoundBundle, fingerprint_of
from maskzoo.service.bundles.entries import LoadedModel, ModelEntry
from maskzoo.service.bundles.loading import estimate_bytes, load_whole


def entry_of(path) -> ModelEntry:
    return ModelEntry.of(FoundBundle(path, 0, path.name, None, fingerprint_of(path)))


def test_a_bundle_that_is_replaced_while_it_loads_is_loaded_again(tmp_path, write_bundle):
    path = write_bundle(tmp_path / "cells")
    loads = []

    def load(folder):
        loads.append(folder)
        if len(loads) == 1:
            write_bundle(folder)
        return object()

    loaded = load_whole(load, path)
    assert loads == [path, path]
    assert loaded.manifest == read_manifest(path)


def test_a_bundle_that_changes_all_the_time_is_given_up(tmp_path, write_bundle):
    path = write_bundle(tmp_path / "cells")
    with pytest.raises(BundleError, match="changed while it was being loaded, 3 times over"):
        load_whole(write_bundle, path)


def test_the_memory_of_a_network_is_that_of_its_tensors(tmp_path, write_bundle):
    network = torch.nn.Conv2d(3, 4, 1)  # 12 weights and 4 biases of 4 bytes
    predictor = SimpleNamespace(engine=SimpleNamespace(network=network))
    assert load_whole(lambda _: predictor, write_bundle(tmp_path / "cells")).num_bytes == 64


def test_what_was_never_loaded_is_estimated_by_its_file_in_float32(tmp_path, write_bundle):
    path = write_bundle(tmp_path / "cells")
    entry = entry_of(path)
    assert entry.manifest.weights_dtype == "float16"
    assert estimate_bytes(entry) == 2 * (path / WEIGHTS_FILE).stat().st_size
    entry.loaded = LoadedModel("cells", "1", entry.manifest, object(), num_bytes=77)
    assert estimate_bytes(entry) == 77


def test_a_bundle_whose_file_has_gone_is_estimated_as_nothing(tmp_path, write_bundle):
    path = write_bundle(tmp_path / "cells")
    entry = entry_of(path)
    (path / WEIGHTS_FILE).unlink()
    assert estimate_bytes(entry) == 0
