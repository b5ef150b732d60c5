"""Unified kernel image: systemd's EFI stub with the operating system as further PE sections.

objcopy could do this, but only for the architectures it was built for, and it leaves the choice of
addresses and the size of the image to the caller. A section is a table row and some bytes; this
writes the same for every architecture, and the same bytes every time.

Sources: Microsoft PE/COFF specification; UAPI specification "Unified Kernel Image".
"""

import struct
from dataclasses import dataclass

SECTION_ROW = struct.Struct("<8sIIIIIIHHI")
INITIALIZED_DATA_READ = 0x40000040

# offsets inside the optional header (PE32+)
OPTIONAL_MAGIC = 0x20B
INITIALIZED_SIZE = 8
SECTION_ALIGNMENT = 32
FILE_ALIGNMENT = 36
IMAGE_SIZE = 56
HEADERS_SIZE = 60

MACHINES = {"x86_64": 0x8664, "arm64": 0xAA64}


class Error(Exception):
    """An input is not what it should be."""


@dataclass(frozen=True)
class Section:
    """One row of the section table: where the bytes lie in the file and in memory."""

    name: str
    offset: int
    size: int  # bytes that mean something
    file_size: int  # bytes in the file; never less, zero-filled
    address: int


@dataclass(frozen=True)
class Header:
    """What of a PE file's headers is needed to add sections to it."""

    machine: int
    count_at: int
    count: int
    optional_at: int
    table_at: int
    section_alignment: int
    file_alignment: int
    headers_size: int
    sections: tuple


def align(value, step):
    return (value + step - 1) // step * step


def parse(image):
    """The headers of a PE32+ image. Raises Error."""
    try:
        (pe_at,) = struct.unpack_from("<I", image, 0x3C)
        if image[:2] != b"MZ" or image[pe_at : pe_at + 4] != b"PE\0\0":
            raise Error("not a PE image")
        machine, count = struct.unpack_from("<HH", image, pe_at + 4)
        (optional_size,) = struct.unpack_from("<H", image, pe_at + 20)
        optional_at = pe_at + 24
        if struct.unpack_from("<H", image, optional_at)[0] != OPTIONAL_MAGIC:
            raise Error("not a 64-bit PE image")
        alignments = struct.unpack_from("<II", image, optional_at + SECTION_ALIGNMENT)
        (headers_size,) = struct.unpack_from("<I", image, optional_at + HEADERS_SIZE)
        table_at = optional_at + optional_size
        sections = []
        for row in range(count):
            name, size, address, file_size, offset, *_ = SECTION_ROW.unpack_from(
                image, table_at + row * SECTION_ROW.size
            )
            name = name.rstrip(b"\0").decode("ascii")
            sections.append(Section(name, offset, size, file_size, address))
    except (struct.error, UnicodeDecodeError) as error:
        raise Error(f"damaged PE image: {error}") from error
    return Header(
        machine, pe_at + 6, count, optional_at, table_at, *alignments, headers_size, tuple(sections)
    )


def build(stub, contents):
    """The stub with sections added.

    stub: bytes of linux*.efi.stub
    contents: [(name of at most 8 characters, bytes)], placed in this order
    Returns bytes. In the file every section starts at a multiple of 512 bytes, which is what lets
    GRUB read one as a range of sectors.
    """
    head = parse(stub)
    if head.table_at + (head.count + len(contents)) * SECTION_ROW.size > head.headers_size:
        raise Error(f"the stub's section table has no room for {len(contents)} more")
    if head.file_alignment % 512 != 0:
        raise Error(f"the stub aligns sections to {head.file_alignment} bytes in the file")
    image = bytearray(stub)
    image += bytes(align(len(image), head.file_alignment) - len(image))
    address = max(section.address + section.size for section in head.sections)
    (initialized,) = struct.unpack_from("<I", image, head.optional_at + INITIALIZED_SIZE)

    for number, (name, data) in enumerate(contents, head.count):
        address = align(address, head.section_alignment)
        file_size = align(len(data), head.file_alignment)
        row = SECTION_ROW.pack(
            name.encode("ascii"), len(data), address, file_size, len(image), 0, 0, 0, 0,
            INITIALIZED_DATA_READ,
        )
        at = head.table_at + number * SECTION_ROW.size
        image[at : at + SECTION_ROW.size] = row
        image += data + bytes(file_size - len(data))
        address += len(data)
        initialized += file_size

    struct.pack_into("<H", image, head.count_at, head.count + len(contents))
    struct.pack_into("<I", image, head.optional_at + INITIALIZED_SIZE, initialized)
    struct.pack_into(
        "<I", image, head.optional_at + IMAGE_SIZE, align(address, head.section_alignment)
    )
    return bytes(image)


def section(image, name):
    """The Section called name. Raises Error when there is none."""
    for candidate in parse(image).sections:
        if candidate.name == name:
            return candidate
    raise Error(f"no section {name}")
