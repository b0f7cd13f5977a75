"""Whether an OLE file (.xls) has sector chains that run in circles: a reader would follow them for ever.

Layout from Microsoft's [MS-CFB], sections 2.2 (header), 2.3 (FAT) and 2.4 (mini FAT).
"""

from __future__ import annotations

import struct
from array import array
from typing import Final

_LAST_SECTOR: Final = 0xFFFFFFFA
_HEADER_ENTRIES: Final = 109
_SECTOR_SIZES: Final = (512, 4096)


def runs_in_circles(data: bytes) -> bool:
    """True if a chain of the allocation tables comes back to itself, or if there is no proper header."""
    if len(data) < 512:
        return True
    size = 1 << min(struct.unpack_from("<H", data, 0x1E)[0], 16)
    if size not in _SECTOR_SIZES:
        return True
    fat = _joined(data, _fat_sectors(data, size), size)
    if _cyclic(fat):
        return True
    mini = _chain(fat, struct.unpack_from("<I", data, 0x3C)[0])
    return _cyclic(_joined(data, mini, size))


def _fat_sectors(data: bytes, size: int) -> list[int]:
    """The sectors that hold the allocation table: listed in the header, then in a chain of further lists."""
    sectors = list(struct.unpack_from(f"<{_HEADER_ENTRIES}I", data, 0x4C))
    more, seen = struct.unpack_from("<I", data, 0x44)[0], set()
    while more < _LAST_SECTOR and more not in seen:
        seen.add(more)
        entries = _joined(data, [more], size)
        if not entries:
            break
        sectors += entries[:-1]
        more = entries[-1]
    return [sector for sector in sectors if sector < _LAST_SECTOR]


def _joined(data: bytes, sectors: list[int], size: int) -> array[int]:
    """The 32-bit entries of some sectors, one after the other; sectors beyond the end have none."""
    entries = array("I")
    for sector in sectors:
        piece = data[(sector + 1) * size : (sector + 2) * size]
        entries.extend(struct.unpack(f"<{len(piece) // 4}I", piece[: len(piece) // 4 * 4]))
    return entries


def _chain(fat: array[int], start: int) -> list[int]:
    chain: list[int] = []
    while start < len(fat):
        chain.append(start)
        start = fat[start]
    return chain


def _cyclic(fat: array[int]) -> bool:
    """Whether following any entry to its successor ends in a circle; each entry is visited once."""
    walked = bytearray(len(fat))  # 1: on the way just walked, 2: known to end
    for start in range(len(fat)):
        way = []
        place = start
        while place < len(fat) and not walked[place]:
            walked[place] = 1
            way.append(place)
            place = fat[place]
        if place < len(fat) and walked[place] == 1:
            return True
        for each in way:
            walked[each] = 2
    return False
