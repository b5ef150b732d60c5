/*
 * One line of log with one write(). Only programs log, at the top; libraries return errors.
 * To a terminal or a pipe a line is "program: message"; to /dev/kmsg it carries the priority the
 * kernel expects ("<4>program: message").
 */
#ifndef SAMPAN_BASE_LOG_H
#define SAMPAN_BASE_LOG_H

#include <stddef.h>

/* syslog(3) priorities, the ones in use */
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* bytes; a longer line is cut */
#define LOG_LINE_MAX 1024

/*
 * Choose where lines go; before the first call they go to descriptor 2 as "sampan: …".
 * @program: its name, kept by reference
 * @fd: kept, not owned
 * @kmsg: non-zero when @fd is /dev/kmsg
 */
void log_open(const char *program, int fd, int kmsg);

/*
 * Hand each line, its newline included, to a function instead of a descriptor. It must not log.
 */
void log_open_sink(const char *program, void (*sink)(const char *line, size_t len));

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)

#endif
