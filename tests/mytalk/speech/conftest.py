"""Small wav2vec 2.0 networks with random weights, saved as the hub saves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mytalk.speech.wav2vec_loader import import_transformers

NetworkMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def make_network(tmp_path_factory: pytest.TempPathFactory) -> NetworkMaker:
    """``make_network(norm="layer", stable=True, ...)`` gives a folder of config, weights and feature extractor."""
    transformers = import_transformers()

    def make(norm: str = "layer", stable: bool = True, normalise: bool = True, seed: int = 5, **sizes: object) -> Path:
        config = transformers.Wav2Vec2Config(
            hidden_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=128,
            conv_dim=(24,) * 7,
            conv_bias=stable,
            feat_extract_norm=norm,
            do_stable_layer_norm=stable,
            num_conv_pos_embeddings=32,
            num_conv_pos_embedding_groups=4,
            **sizes,
        )
        torch.manual_seed(seed)
        model = transformers.Wav2Vec2Model(config)
        folder = tmp_path_factory.mktemp("network") / "tiny-wav2vec2"
        model.save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise).save_pretrained(folder)
        return folder

    return make
