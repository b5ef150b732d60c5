#pragma once

/*
 * Mount the EROFS image in the file @path on the directory @target, read-only, without devices in
 * it. Usable between fork and exec. Returns 0 or an errno, and then *ret_step is what failed.
 */
int image_mount(const char *path, const char *target, const char **ret_step);
