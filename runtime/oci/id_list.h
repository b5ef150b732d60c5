/* A list of numbers as the kernel writes CPUs and memory nodes, "0-3,7", as a bit mask. */
#ifndef SAMPAN_OCI_ID_LIST_H
#define SAMPAN_OCI_ID_LIST_H

#include <stddef.h>

/* CPUs or nodes; the kernel's NR_CPUS ends at 8192, nodes at 1024 */
#define ID_LIST_BITS 8192

struct id_list {
	unsigned long bits[ID_LIST_BITS / (8 * sizeof(unsigned long))];
	size_t n; /* numbers in it */
};

/*
 * Blanks around a number and empty elements are allowed, as runc has it; an empty text is an empty
 * list.
 * @limit: numbers are below it, at most ID_LIST_BITS
 * Returns 0; -EINVAL for anything else, for a range that runs backwards or ends at @limit or above.
 */
int id_list_parse(const char *text, size_t limit, struct id_list *ret);

/* Every number there can be. */
void id_list_fill(struct id_list *ret);

#endif
