/* What services print: a pipe and a ring each, kept over restarts. Slot i belongs to service i. */
#ifndef SAMPAN_INIT_LOGS_H
#define SAMPAN_INIT_LOGS_H

#include "init/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* the slot of init's own lines */
#define LOGS_OWN SERVICES_MAX

void logs_init(void);

/*
 * The writing end of a service's pipe, made at the first call.
 * @name: kept by reference; @console: lines are shown there as "name | line"
 * Returns a descriptor, borrowed, or -errno.
 */
int logs_pipe(unsigned slot, const char *name, bool console);

/* Take what is in the pipe now, before its writer's end is told. */
void logs_drain(unsigned slot);

void logs_write_own(const char *line, size_t len);

/* Returns the bytes copied from @*cursor on, which moves; see ring_read(). */
size_t logs_read(unsigned slot, uint64_t *cursor, char *buf, size_t size);

#endif
