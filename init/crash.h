/* What happens when init itself has a bug. */
#ifndef SAMPAN_INIT_CRASH_H
#define SAMPAN_INIT_CRASH_H

/*
 * Handle SIGSEGV and its kin. One that somebody sent is ignored. One that the processor raised ends
 * init, and a machine without init is of no use to anyone: it is told on the console, and as PID 1
 * the disks are synced and the machine reboots after five seconds.
 */
void crash_handle(void);

#endif
