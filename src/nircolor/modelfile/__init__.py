"""The card, the bands it asks for, and the files that carry it."""

from nircolor.modelfile.bands import describe_bands, match_bands
from nircolor.modelfile.card import (
    CARD_KEY,
    Band,
    Card,
    CardMetadata,
    Context,
    EngineName,
    Licence,
    Score,
    Size,
)
from nircolor.modelfile.formats import engine_for, is_model_file, read_card
from nircolor.modelfile.onnx_file import open_session
from nircolor.modelfile.safetensors_file import read_safetensors, write_safetensors

__all__ = [
    "CARD_KEY",
    "Band",
    "Card",
    "CardMetadata",
    "Context",
    "EngineName",
    "Licence",
    "Score",
    "Size",
    "describe_bands",
    "engine_for",
    "is_model_file",
    "match_bands",
    "open_session",
    "read_card",
    "read_safetensors",
    "write_safetensors",
]
