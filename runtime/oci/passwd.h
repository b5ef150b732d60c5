/* The home directory of a uid out of an /etc/passwd that the image brought along. Pure. */
#ifndef SAMPAN_OCI_PASSWD_H
#define SAMPAN_OCI_PASSWD_H

#include <stddef.h>
#include <stdint.h>

/*
 * Find the sixth field of the first line whose third is @uid.
 * @text: @len bytes, need not be terminated
 * @buf: filled, NUL-terminated; @size bytes
 * Returns 0; -ENOENT: no such line, or its field is empty or too long.
 */
int passwd_find_home(const char *text, size_t len, uint32_t uid, char *buf, size_t size);

#endif
