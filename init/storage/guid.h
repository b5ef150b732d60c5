/* GUIDs from text, as they stand in a partition table. */
#ifndef SAMPAN_STORAGE_GUID_H
#define SAMPAN_STORAGE_GUID_H

#include "init/storage/gpt.h"

/*
 * Parse "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", either case.
 * @s: @len bytes, need not be terminated
 * @ret: untouched on failure
 * Returns 0 or -EINVAL.
 */
int guid_parse(const char *s, size_t len, uint8_t ret[static GUID_BYTES]);

/*
 * Parse the EFI variable LoaderDevicePartUUID as efivarfs shows it: four bytes of attributes, then
 * the GUID's text in UTF-16LE, perhaps with a final NUL.
 */
int guid_parse_efivar(const uint8_t *buf, size_t len, uint8_t ret[static GUID_BYTES]);

#endif
