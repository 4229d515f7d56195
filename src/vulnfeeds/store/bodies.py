"""Bodies as the store keeps them: zstd, with a dictionary per driver that its first large load trains.

Records of one driver look alike, and each is too short to compress well alone: a dictionary makes them several times
smaller. A frame names its dictionary, so bodies written before there was one, or with another one, stay readable.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import xxhash
import zstandard

from vulnfeeds.errors import StoreError
from vulnfeeds.store.database import Database, DuplicateRowError

LEVEL: Final = 3
TRAIN_FROM: Final = 500
"""Fewest bodies in one call to train from."""
_DICTIONARY_BYTES: Final = 64 * 1024
_SAMPLE_BYTES: Final = 6 * 1024 * 1024
_MOST_BODY: Final = 256 * 1024 * 1024
# Below and above lie the ids that the zstd format reserves.
_FIRST_ID: Final = 32768
_LAST_ID: Final = 2**31 - 1


class Bodies:
    """Packs and unpacks bodies; dictionaries are read once and kept in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_driver: dict[str, zstandard.ZstdCompressionDict] = {}
        self._by_id: dict[int, zstandard.ZstdCompressionDict] = {}
        # Contexts of zstd serve one thread at a time.
        self._local = threading.local()

    def pack(self, driver: str, bodies: Sequence[bytes]) -> list[bytes]:
        """Compress bodies with the driver's dictionary; train one first when there is none and enough bodies."""
        if not bodies:
            return []
        dictionary = self._dictionary_of(driver)
        if dictionary is None and len(bodies) >= TRAIN_FROM:
            dictionary = self._train(driver, bodies)
        if dictionary is None:
            compressor = zstandard.ZstdCompressor(level=LEVEL)
        else:
            compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary)
        return [compressor.compress(body) for body in bodies]

    def unpack(self, packed: bytes) -> bytes:
        """Return the body; StoreError when the bytes are damaged or their dictionary is not there."""
        try:
            number = zstandard.get_frame_parameters(packed).dict_id
            return self._decompressor(number).decompress(packed, max_output_size=_MOST_BODY)
        except zstandard.ZstdError as error:
            raise StoreError(f"a stored body is damaged: {error}") from error

    def _decompressor(self, number: int) -> zstandard.ZstdDecompressor:
        known: dict[int, zstandard.ZstdDecompressor] | None = getattr(self._local, "known", None)
        if known is None:
            known = self._local.known = {}
        if number not in known:
            dictionary = self._dictionary(number) if number else None
            known[number] = zstandard.ZstdDecompressor(dict_data=dictionary)
        return known[number]

    def _dictionary(self, number: int) -> zstandard.ZstdCompressionDict:
        if number not in self._by_id:
            with self._database.read() as session:
                row = session.row("SELECT dictionary FROM dictionaries WHERE id = :id", {"id": number})
            if row is None:
                raise StoreError(f"a stored body needs dictionary {number}, which the store does not have")
            self._by_id[number] = zstandard.ZstdCompressionDict(row[0])
        return self._by_id[number]

    def _dictionary_of(self, driver: str) -> zstandard.ZstdCompressionDict | None:
        if driver not in self._by_driver:
            with self._database.read() as session:
                row = session.row("SELECT dictionary FROM dictionaries WHERE driver = :driver", {"driver": driver})
            if row is None:
                return None
            self._remember(driver, row[0])
        return self._by_driver[driver]

    def _train(self, driver: str, bodies: Sequence[bytes]) -> zstandard.ZstdCompressionDict | None:
        number = _FIRST_ID + xxhash.xxh3_64_intdigest(driver.encode()) % (_LAST_ID - _FIRST_ID)
        try:
            trained = zstandard.train_dictionary(
                _DICTIONARY_BYTES, _samples(bodies), dict_id=number, level=LEVEL, k=500, d=8
            ).as_bytes()
        except zstandard.ZstdError:
            # Too little in common to train from: such bodies gain nothing from a dictionary.
            return None
        try:
            with self._database.write() as session:
                session.run(
                    "INSERT INTO dictionaries (id, driver, dictionary) VALUES (:id, :driver, :dictionary)",
                    {"id": number, "driver": driver, "dictionary": trained},
                )
        except DuplicateRowError:
            # Another process trained one at the same time, or two drivers share a number; the stored one counts.
            return self._dictionary_of(driver)
        return self._remember(driver, trained)

    def _remember(self, driver: str, data: bytes) -> zstandard.ZstdCompressionDict:
        dictionary = zstandard.ZstdCompressionDict(data)
        dictionary.precompute_compress(level=LEVEL)
        self._by_driver[driver] = dictionary
        return dictionary


def _samples(bodies: Sequence[bytes]) -> list[bytes | bytearray | memoryview]:
    """Return bodies spread evenly over the call, together no more than training needs."""
    average = max(1, sum(map(len, bodies)) // len(bodies))
    step = max(1, len(bodies) * average // _SAMPLE_BYTES)
    return list(bodies[::step])
