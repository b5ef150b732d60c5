/* How `sampan` shows times, sizes and text. Pure functions. */
#ifndef SAMPAN_CLI_FORMAT_H
#define SAMPAN_CLI_FORMAT_H

#include "lib/util/buf.h"

#include <stddef.h>
#include <stdint.h>

/* Write a duration as one or two units: "0s", "42s", "3m 5s", "2h 10m", "3d 4h". */
void format_duration(uint64_t ms, char *buf, size_t size);

/* "13.3kB", "4.27MB": units of 1000 and @digits of precision. */
void format_size(double bytes, int digits, char *buf, size_t size);

/* "4.5MiB": units of 1024, four digits. */
void format_binary_size(double bytes, char *buf, size_t size);

/* "2024-01-02 03:04:05 +0000 UTC", in the machine's time zone. */
void format_time(int64_t seconds, char *buf, size_t size);

/* "2024-01-02T03:04:05.000000006Z", in the machine's time zone. */
void format_time_ns(int64_t ns, char *buf, size_t size);

/* Append @text as a Go string literal, at most @max characters of it, the last one "…" if cut; 0:
 * all. Returns 0 or -ENOMEM. */
int format_quoted(struct buf *b, const char *text, size_t max);

/* Append @text, at most @max characters of it, the last one "…" if cut. */
int format_cut(struct buf *b, const char *text, size_t max);

/* Characters of UTF-8 in @len bytes. */
size_t format_width(const char *text, size_t len);

/*
 * What --since and --until take: "1700000000.5", "10m" (so long before @now, seconds), or a date
 * with or without time and zone. Writes it as the API wants it: seconds and a fraction. Returns 0
 * or -EINVAL. Source: Docker Engine API v1.51, "since" of /events; RFC 3339.
 */
int format_moment(const char *text, int64_t now, char *buf, size_t size);

/* Bytes from "512m", "1.5g", "64KiB", "100b". Returns 0 or -EINVAL. */
int format_parse_bytes(const char *text, int64_t *ret);

/* Nanoseconds from "1h30m", "0.5s", "10ms". Returns 0 or -EINVAL. */
int format_parse_duration(const char *text, int64_t *ret);

#endif
