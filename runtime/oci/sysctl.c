#include "runtime/oci/sysctl.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/util/path.h"
#include "runtime/oci/names.h"

#include <fcntl.h>
#include <string.h>

int sysctl_path(const char *key, char ret_path[static SYSCTL_PATH_BYTES])
{
	const bool dots = key[strcspn(key, "./")] == '.';
	size_t start = 0; /* of the component */
	size_t len = 0;

	for (const char *s = key;; s++) {
		char c = *s;

		if (len == SYSCTL_PATH_BYTES)
			return -ENAMETOOLONG;
		if (dots && (c == '.' || c == '/'))
			c = c == '.' ? '/' : '.';
		if (c == '/' || c == '\0') {
			size_t n = len - start;

			if (n == 0 || (ret_path[start] == '.' &&
					      (n == 1 || (n == 2 && ret_path[start + 1] == '.'))))
				return -EINVAL;
			start = len + 1;
		}
		ret_path[len++] = c;
		if (c == '\0')
			return 0;
	}
}

static int owner_of(const char *path)
{
	static const struct {
		const char *prefix;
		enum ns_type ns;
	} owners[] = {
		{"net/", NS_NET},
		{"fs/mqueue/", NS_IPC},
		{"kernel/msg", NS_IPC},
		{"kernel/sem", NS_IPC},
		{"kernel/shm", NS_IPC},
		{"kernel/domainname", NS_UTS},
		{"kernel/hostname", NS_UTS},
		{"user/", NS_USER},
	};

	for (size_t k = 0; k < sizeof(owners) / sizeof(owners[0]); k++) {
		if (strncmp(path, owners[k].prefix, strlen(owners[k].prefix)) == 0)
			return (int)owners[k].ns;
	}
	return -1;
}

int sysctl_owner(const char *key)
{
	char path[SYSCTL_PATH_BYTES];

	return sysctl_path(key, path) < 0 ? -1 : owner_of(path);
}

int sysctl_check(const struct config *c, struct err *e)
{
	char path[SYSCTL_PATH_BYTES];

	for (size_t i = 0; i < c->sysctl.n; i++) {
		const char *key = c->sysctl.v[i].key;
		int owner;

		if (sysctl_path(key, path) < 0)
			return err_set(
				e, EINVAL, "linux.sysctl.%s: expected a name like a.b.c", key);
		owner = owner_of(path);
		if (owner < 0)
			return err_set(e, EINVAL, "linux.sysctl.%s: belongs to no namespace", key);
		if (!c->ns[owner].given)
			return err_set(e, EINVAL,
				"linux.sysctl.%s: needs a %s namespace, else it is the host's", key,
				name_of_ns((enum ns_type)owner));
	}
	return 0;
}

/* The runtime's own /proc, opened before there was a container: nothing of the image's can redirect
 * the write. Which namespace it acts on is decided by who writes. */
static int write_one(int host_proc, const struct config_pair *p)
{
	char path[4 + SYSCTL_PATH_BYTES] = "sys/";
	AUTO_CLOSE int fd = -1;
	int r = sysctl_path(p->key, path + 4);

	if (r < 0)
		return r;
	fd = path_open_in_root(host_proc, path, O_WRONLY, 0);
	return fd < 0 ? fd : io_write_all(fd, p->value, strlen(p->value));
}

int sysctl_apply(const struct config *c, int host_proc, struct err *e)
{
	for (size_t i = 0; i < c->sysctl.n; i++) {
		int r = write_one(host_proc, &c->sysctl.v[i]);

		if (r < 0)
			return err_set(
				e, -r, "linux.sysctl.%s: %s", c->sysctl.v[i].key, strerror(-r));
	}
	return 0;
}
