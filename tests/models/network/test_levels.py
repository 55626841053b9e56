"""What the U-shaped decoders share."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import SpecError
from maskzoo.models.network.levels import skip_channels
from maskzoo.models.registry import create_model


def test_skips_are_counted_from_the_deepest_and_the_last_level_has_none():
    assert skip_channels((3, 1, 2, 4, 8, 16), (9, 9, 9, 9)) == (8, 4, 2, 1)
    assert skip_channels((3, 1, 2, 4, 8, 16), (9, 9, 9, 9, 9)) == (8, 4, 2, 1, 0)


@pytest.mark.parametrize("channels", [[8, 8, 8], [8] * 6])
@pytest.mark.parametrize("name", ["unet", "unetplusplus", "manet"])
def test_a_wrong_number_of_widths_is_refused(name, channels):
    with pytest.raises(SpecError, match="channels: Tuple should have at"):
        create_model(name, encoder="tu-resnet18", num_classes=2, channels=channels)
