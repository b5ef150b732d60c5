/*
 * What a volume's options say, mounted on its directory.
 * Source: Docker's local volume driver, options type, o and device.
 */
#ifndef SAMPAN_ENGINE_VOLUME_MOUNT_H
#define SAMPAN_ENGINE_VOLUME_MOUNT_H

#include "runtime/store/volumes.h"

/*
 * Whether the driver takes these options for a volume of that name: known ones, whole, and a file
 * system that this kernel has. Returns 0 or -EINVAL with @e in Docker's words.
 */
int volume_options_check(const char *name, yyjson_val *options, struct err *e);

/* Mount what the volume's options say on @path. */
int volume_options_mount(const struct volume *v, const char *path, struct err *e);

#endif
