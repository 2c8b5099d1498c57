"""Model files: the model card, reading and writing files, and matching a file's bands to a model."""

from nircolor.modelfile.bands import describe_bands, match_bands, match_raster
from nircolor.modelfile.card import (
    CARD_KEY,
    Band,
    Card,
    CardMetadata,
    CardScore,
    Context,
    EngineName,
    Licence,
    Size,
    first_fault,
)
from nircolor.modelfile.files import (
    ENGINE_BY_SUFFIX,
    engine_for,
    is_model_file,
    open_session,
    read_card,
    read_safetensors,
    write_safetensors,
)

__all__ = [
    "CARD_KEY",
    "ENGINE_BY_SUFFIX",
    "Band",
    "Card",
    "CardMetadata",
    "CardScore",
    "Context",
    "EngineName",
    "Licence",
    "Size",
    "describe_bands",
    "engine_for",
    "first_fault",
    "is_model_file",
    "match_bands",
    "match_raster",
    "open_session",
    "read_card",
    "read_safetensors",
    "write_safetensors",
]
