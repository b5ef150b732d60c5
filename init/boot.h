/* From the kernel's hands to a system: what PID 1 does once, before the first service. */
#ifndef SAMPAN_INIT_BOOT_H
#define SAMPAN_INIT_BOOT_H

/*
 * Mounts, sysctls, limits, hostname, loopback. Whatever fails is logged and done without: a machine
 * that lacks a file system can still be looked at, one without init cannot.
 */
void boot_prepare(void);

#endif
