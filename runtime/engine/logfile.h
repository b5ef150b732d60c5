/*
 * The json-file log of one container, byte for byte as Docker's: one object per line of output,
 * with rotation. One thread writes; readers open the file by themselves.
 */
#ifndef SAMPAN_ENGINE_LOGFILE_H
#define SAMPAN_ENGINE_LOGFILE_H

#include "lib/base/err.h"
#include "lib/util/buf.h"

#include <stdint.h>

enum log_stream { LOG_STDOUT, LOG_STDERR, LOG_STREAMS };

struct logfile {
	int fd; /* -1: nothing is kept */
	char *path;
	char *attrs;			 /* JSON object in each record; NULL: none */
	uint64_t size;			 /* bytes */
	uint64_t size_max;		 /* bytes, then it is rotated; 0: never */
	unsigned files;			 /* that are kept, this one included */
	struct buf partial[LOG_STREAMS]; /* a line whose end is still to come */
};

/*
 * Open or make the log.
 * @path: absolute, copied
 * @attrs: copied; NULL or "": none
 */
int logfile_open(struct logfile *l, const char *path, uint64_t size_max, unsigned files,
	const char *attrs, struct err *e);
void logfile_close(struct logfile *l);

/*
 * Add output. What is behind the last newline waits for more, up to LOG_LINE_BYTES_MAX.
 * Returns 0 or -errno: what could not be written is lost, the file is whole.
 */
int logfile_add(struct logfile *l, enum log_stream stream, const char *bytes, size_t len);

/* The stream has ended: write what waits. */
int logfile_flush(struct logfile *l, enum log_stream stream);

/* Append @bytes to @b as Go writes JSON strings, without the quotes. Returns 0 or -ENOMEM. */
int json_escape(struct buf *b, const char *bytes, size_t len);

/* "2006-01-02T15:04:05.999999999Z": RFC 3339, without zeros at the end. @size of at least 40. */
void time_print(int64_t ns, char *buf, size_t size);

#endif
