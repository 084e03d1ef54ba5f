"""Choices that follow from a seed alone, for samples and stories: no dice are rolled in `core`."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Pick:
    """A sequence of choices; the same seed makes the same ones, in every process and Python version."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made = 0

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1; `limit` is small, so that the bias of a remainder does not show."""
        return int.from_bytes(self._bytes(8), "big") % limit

    def one(self, options: Sequence[T]) -> T:
        """One of the options, of which there is at least one."""
        return options[self.below(len(options))]

    def text(self, alphabet: str, length: int) -> str:
        """`length` characters of the alphabet."""
        return "".join(alphabet[byte % len(alphabet)] for byte in self._bytes(length))

    def _bytes(self, count: int) -> bytes:
        self._made += 1
        return hashlib.shake_256(f"{self._seed}/{self._made}".encode()).digest(count)
