"""The supported speech corpora; one module defines each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from multimodal.data.corpora.iemocap import IEMOCAP
from multimodal.data.corpora.voice.banglaser import BANGLASER
from multimodal.data.corpora.voice.corpus import VoiceCorpus
from multimodal.data.corpora.voice.crema_d import CREMA_D
from multimodal.data.corpora.voice.emodb import EMODB
from multimodal.data.corpora.voice.manifest import manifest_corpus
from multimodal.data.corpora.voice.ravdess import RAVDESS
from multimodal.data.corpora.voice.savee import SAVEE
from multimodal.data.corpora.voice.tess import TESS

_PUBLISHED = (RAVDESS, EMODB, BANGLASER, TESS, CREMA_D, SAVEE, IEMOCAP)

VOICE_CORPORA: Mapping[str, VoiceCorpus] = {
    corpus.name: corpus for corpus in (*_PUBLISHED, manifest_corpus(_PUBLISHED))
}
"""Key to corpus. A corpus is added by its module and one name in ``_PUBLISHED``."""


def license_of(corpora: Sequence[str]) -> str:
    """The license of weights trained on some corpora, in plain words.

    Args:
        corpora: Keys of ``VOICE_CORPORA``.

    Returns:
        One sentence or two.

    Example:
        >>> license_of(["emodb", "banglaser"])
        'as the corpora: emodb CC0 in its current release; banglaser CC BY 4.0'
    """
    entries = [VOICE_CORPORA[name] for name in corpora]
    binding = "; ".join(corpus.weights_license for corpus in entries if corpus.weights_license)
    others = "; ".join(f"{corpus.name} {corpus.license}" for corpus in entries if not corpus.weights_license)
    if not binding:
        return f"as the corpora: {others}"
    return binding + (f". The other corpora: {others}" if others else "")
