#include "init/kept.h"

#include "init/limits.h"
#include "lib/base/fd.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct kept {
	char id[INIT_ID_BYTES]; /* "": free */
	char name[INIT_FD_NAME_BYTES];
	int fd;
};

static struct kept table[KEPT_FDS_MAX];
static unsigned used; /* one past the last slot in use */

static bool is(const struct kept *k, const char *id, const char *name)
{
	return k->id[0] && strcmp(k->id, id) == 0 && (!name || strcmp(k->name, name) == 0);
}

int kept_add(const char *id, const char *name, int fd, struct err *e)
{
	AUTO_CLOSE int owned = fd;
	unsigned slot = used;

	if (id[0] == '\0' || name[0] == '\0' || fd < 0)
		return err_set(e, EINVAL, "an id, a name and one descriptor are needed");
	for (unsigned i = 0; i < used; i++) {
		if (is(&table[i], id, name))
			return err_set(e, EEXIST, "%s: %s is already kept", id, name);
		if (table[i].id[0] == '\0' && slot == used)
			slot = i;
	}
	if (slot == KEPT_FDS_MAX)
		return err_set(e, ENOSPC, "%d descriptors are kept, no more fit", KEPT_FDS_MAX);
	snprintf(table[slot].id, sizeof(table[slot].id), "%s", id);
	snprintf(table[slot].name, sizeof(table[slot].name), "%s", name);
	table[slot].fd = TAKE_FD(owned);
	if (slot == used)
		used++;
	return 0;
}

int kept_get(const char *id, unsigned index, char ret_name[INIT_FD_NAME_BYTES])
{
	for (unsigned i = 0; i < used; i++) {
		if (!is(&table[i], id, NULL) || index-- > 0)
			continue;
		memcpy(ret_name, table[i].name, INIT_FD_NAME_BYTES);
		return table[i].fd;
	}
	return -1;
}

int kept_drop(const char *id, const char *name, struct err *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < used; i++) {
		if (!is(&table[i], id, name[0] ? name : NULL))
			continue;
		fd_close(&table[i].fd);
		table[i].id[0] = '\0';
		n++;
	}
	while (used > 0 && table[used - 1].id[0] == '\0')
		used--;
	if (n == 0)
		return err_set(e, ENOENT, "%s: no such descriptor is kept", id);
	return 0;
}
