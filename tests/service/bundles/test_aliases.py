"""Other names of models: one step deep, well formed, never a model's own."""

from __future__ import annotations

import pytest

from maskzoo.service.bundles.aliases import Aliases
from maskzoo.service.errors import AliasError


def test_an_alias_means_its_model_and_any_other_name_means_itself():
    aliases = Aliases({"prod": "cells@2"})
    assert aliases.resolve("prod") == "cells@2"
    assert aliases.resolve("cells") == "cells"


def test_an_alias_that_is_set_again_means_the_new_model():
    aliases = Aliases({"prod": "cells@2"})
    aliases.set("prod", "cells@3")
    assert aliases.table == {"prod": "cells@3"}


@pytest.mark.parametrize("alias", ["", "Prod", "-prod", "a/b", "a" * 65, "prod@1", "prod\n"])
def test_an_alias_is_a_short_word_of_lower_case(alias):
    with pytest.raises(AliasError, match="is not allowed"):
        Aliases({}).set(alias, "cells")
    Aliases({}).set("a" * 64, "cells")


def test_an_alias_is_not_the_name_of_a_model():
    with pytest.raises(AliasError, match="'cells' is the name of a model"):
        Aliases({}).set("cells", "streets", taken=["cells"])


@pytest.mark.parametrize("target", ["prod", "beta"])
def test_an_alias_never_means_an_alias(target):
    aliases = Aliases({"prod": "cells@2"})
    with pytest.raises(AliasError, match=f"{target!r} is an alias"):
        aliases.set("beta", target)


def test_an_alias_that_is_removed_is_gone_and_the_others_are_named():
    aliases = Aliases({"prod": "cells@2", "beta": "cells@3"})
    aliases.remove("prod")
    assert aliases.resolve("prod") == "prod"
    with pytest.raises(AliasError, match="there is no alias 'prod'; known: beta"):
        aliases.remove("prod")


def test_the_aliases_of_a_model_are_those_of_any_of_its_names():
    aliases = Aliases({"prod": "cells@2", "beta": "cells", "roof": "roofs"})
    assert aliases.of("cells", "cells@2") == ["prod", "beta"]
