#include "lib/base/log.h"

#include "lib/base/io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const char *log_program = "sampan";
static int log_fd = 2;
static int log_kmsg;
static void (*log_sink)(const char *line, size_t len);

void log_open(const char *program, int fd, int kmsg)
{
	log_program = program;
	log_fd = fd;
	log_kmsg = kmsg;
	log_sink = NULL;
}

void log_open_sink(const char *program, void (*sink)(const char *line, size_t len))
{
	log_open(program, -1, 0);
	log_sink = sink;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	int saved = errno;
	va_list ap;
	size_t len;
	int n;

	if (log_kmsg)
		n = snprintf(line, sizeof(line), "<%d>%s: ", level, log_program);
	else
		n = snprintf(line, sizeof(line), "%s: ", log_program);
	len = n < 0 ? 0 : (size_t)n;
	if (len < sizeof(line) - 1) {
		va_start(ap, fmt);
		n = vsnprintf(line + len, sizeof(line) - len, fmt, ap);
		va_end(ap);
		len += n < 0 ? 0 : (size_t)n;
	}
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len] = '\n';
	/* Nobody is left to tell when the log itself fails. */
	if (log_sink)
		log_sink(line, len + 1);
	else
		(void)io_write_all(log_fd, line, len + 1);
	errno = saved;
}
