"""The error classes: their tree, their builtin bases, and pickling."""

from __future__ import annotations

import builtins
import copy
import pickle
import re
from pathlib import Path

import pytest

from multimodal import errors
from multimodal.errors import MultimodalError

DRAWN = dict(re.findall(r"[├└]── (\w+) +\((\w+)\)", errors.__doc__ or ""))
DEFINED = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MultimodalError)
}
LEAVES = [kind for kind in DEFINED.values() if kind is not MultimodalError]


def test_drawn_tree_is_the_real_one() -> None:
    assert DRAWN.keys() | {"MultimodalError"} == DEFINED.keys()
    for name, builtin in DRAWN.items():
        assert DEFINED[name].__bases__ == (MultimodalError, getattr(builtins, builtin))


@pytest.mark.parametrize("kind", LEAVES)
def test_builtin_of_its_kind_catches_it(kind: type[MultimodalError]) -> None:
    with pytest.raises(getattr(builtins, DRAWN[kind.__name__])) as caught:
        raise kind("talk.mp4", "is wrong", "mend it")
    assert str(caught.value) == "talk.mp4: is wrong; mend it"


@pytest.mark.parametrize("kind", DEFINED.values())
@pytest.mark.parametrize("subject", ["talk.mp4", Path("a") / "talk.mp4", "caf\udce9.mp4"])
def test_error_survives_pickling_and_copying(kind: type[MultimodalError], subject: str | Path) -> None:
    error = kind(subject, "is wrong", "mend it")
    protocols = range(pickle.HIGHEST_PROTOCOL + 1)
    for twin in [copy.copy(error), *(pickle.loads(pickle.dumps(error, protocol)) for protocol in protocols)]:
        assert type(twin) is kind and str(twin) == str(error) == f"{subject}: is wrong; mend it"
        assert (twin.subject, twin.fact, twin.remedy) == (str(subject), "is wrong", "mend it")
