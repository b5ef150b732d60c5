"""A GUID partition table, as bytes. Source: UEFI specification 2.10, chapter 5."""

import struct
import zlib
from dataclasses import dataclass
from uuid import UUID

ENTRY_COUNT = 128
ENTRY = struct.Struct("<16s16sQQQ72s")
HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
REVISION = 0x10000


@dataclass(frozen=True)
class Partition:
    """One partition; start and size in bytes."""

    number: int
    type: UUID
    guid: UUID
    name: str
    start: int
    size: int


def protective_mbr(sectors, boot_code=b""):
    """Sector 0: boot code of at most 440 bytes, and one partition over the whole disk."""
    assert len(boot_code) <= 440
    size = min(sectors - 1, 0xFFFFFFFF)
    row = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, size)
    return boot_code.ljust(446, b"\0") + row + bytes(48) + b"\x55\xaa"


def build(disk_guid, partitions, disk_size, sector=512):
    """Returns {byte offset: bytes} of the primary and the backup table."""
    table_sectors = ENTRY_COUNT * ENTRY.size // sector
    last = disk_size // sector - 1
    table = bytearray(ENTRY_COUNT * ENTRY.size)
    for part in partitions:
        ENTRY.pack_into(
            table, (part.number - 1) * ENTRY.size, part.type.bytes_le, part.guid.bytes_le,
            part.start // sector, (part.start + part.size) // sector - 1, 0,
            part.name.encode("utf-16-le"),
        )  # fmt: skip
    table = bytes(table)

    def header(own, other, table_at):
        fields = [
            b"EFI PART", REVISION, HEADER.size, 0, 0, own, other, 2 + table_sectors,
            last - table_sectors - 1, disk_guid.bytes_le, table_at, ENTRY_COUNT, ENTRY.size,
            zlib.crc32(table),
        ]  # fmt: skip
        fields[3] = zlib.crc32(HEADER.pack(*fields))
        return HEADER.pack(*fields).ljust(sector, b"\0")

    return {
        1 * sector: header(1, last, 2),
        2 * sector: table,
        (last - table_sectors) * sector: table,
        last * sector: header(last, 1, last - table_sectors),
    }
