"""The card, and the files that carry it."""

from nircolor.modelfile.card import Band, Card, Context, Licence, Score, Size
from nircolor.modelfile.onnx_file import CARD_KEY, open_session, read_card

__all__ = ["CARD_KEY", "Band", "Card", "Context", "Licence", "Score", "Size", "open_session", "read_card"]
