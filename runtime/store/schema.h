/* The schema of the records, version by version. */
#ifndef SAMPAN_STORE_SCHEMA_H
#define SAMPAN_STORE_SCHEMA_H

#include <stddef.h>

/* Statement list n brings a file from version n to version n + 1. Never changed once released. */
extern const char *const schema_steps[];
extern const size_t schema_version;

#endif
