/*
 * The end: services in the reverse of after=, adopted containers, whatever else runs, mounts; then
 * the machine. Each stage has a deadline, and none of them runs in init itself.
 */
#ifndef SAMPAN_INIT_SHUTDOWN_H
#define SAMPAN_INIT_SHUTDOWN_H

#include "init/protocol.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Begin; a second call changes nothing. @why is for the log. */
void shutdown_begin(enum init_shutdown_how how, const char *why);

bool shutdown_running(void);

/* Do what can be done now. Call after every turn of the loop. */
void shutdown_tick(uint64_t now_ms);
uint64_t shutdown_deadline(void);

/* A child ended that is nobody else's. */
void shutdown_reap(pid_t pid);

/* Exit statuses of a subreaper. */
enum { SHUTDOWN_EXIT_POWEROFF = 0, SHUTDOWN_EXIT_REBOOT = 3, SHUTDOWN_EXIT_HALT = 4 };

#endif
