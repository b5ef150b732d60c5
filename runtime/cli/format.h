/* How the tables of `sampan` show things. */
#ifndef SAMPAN_CLI_FORMAT_H
#define SAMPAN_CLI_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/* Write a duration as one or two units: "0s", "42s", "3m 5s", "2h 10m", "3d 4h". */
void format_duration(uint64_t ms, char *buf, size_t size);

#endif
