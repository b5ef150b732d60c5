/*
 * The console: init's own lines and the lines of services that ask for it. A console that takes
 * nothing costs lines, never time.
 */
#ifndef SAMPAN_INIT_CONSOLE_H
#define SAMPAN_INIT_CONSOLE_H

#include <stddef.h>

/* Start with "init: up"-like lines on /dev/console, or on descriptor 2 of a subreaper. */
void console_open(void);

/* Watch for room once there is a loop. */
void console_watch(void);

/* Show "prefix | text" as one line. */
void console_line(const char *prefix, const char *text, size_t len);

/* A sink for log_open_sink(): to init's own ring and to the console. */
void console_log(const char *line, size_t len);

#endif
