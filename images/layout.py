"""Where things lie on Sampan's disk. The names and the data type are known to init/storage, too."""

import uuid

SECTOR = 512
MIB = 1 << 20

ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
BIOS_TYPE = uuid.UUID("21686148-6449-6e6f-744e-656564454649")

ESP_NAME = "sampan-esp"
BIOS_NAME = "sampan-bios"

# GRUB finds the ESP by its number, and the disk by what the BIOS booted
BIOS_NUMBER = 1
ESP_NUMBER = 2

BIOS_START = 1 * MIB
BIOS_SIZE = 1 * MIB
ESP_START = 2 * MIB

# The ESP holds at least four times the OS file: two slots, a third while an update is written,
# and room to grow. FAT32 begins at 65,525 clusters.
ESP_SIZE_MIN = 128 * MIB
ESP_UKIS = 4
ESP_STEP = 64 * MIB

# Free at the end of the file as it is shipped, so that it can be booted as it is.
DATA_ROOM = 128 * MIB


def esp_size(uki_size):
    """Bytes of the ESP for an OS file of uki_size bytes."""
    wanted = max(ESP_SIZE_MIN, ESP_UKIS * uki_size + 4 * MIB)
    return (wanted + ESP_STEP - 1) // ESP_STEP * ESP_STEP
