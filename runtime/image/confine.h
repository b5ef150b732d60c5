/*
 * A process that reads what somebody hostile wrote gives away all that it does not need: its root
 * becomes one directory, its uid one that owns nothing, and a fixed list of system calls is left.
 */
#ifndef SAMPAN_IMAGE_CONFINE_H
#define SAMPAN_IMAGE_CONFINE_H

#include "lib/base/err.h"

/*
 * Confine the calling process, which must be root and have one thread, to making files below
 * @dirfd. What it keeps: CAP_CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD and SETFCAP, which files of
 * other owners, modes, devices and file capabilities need. Of devices it can make those that a
 * layer may bring (layer_devices), so that no node of a disk opens one. Any other system call ends
 * it (SIGSYS), and so does the end of the thread that started it (SIGKILL).
 * Returns 0 or -errno; after an error it may be confined in part, and should exit.
 */
int confine_to_directory(int dirfd, struct err *e);

#endif
