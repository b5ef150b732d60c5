#include "init/cgroup.h"

#include "init/options.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int root_fd = -1;

static void try_write(const char *path, const char *value)
{
	int r = io_write_file_at(root_fd, path, value);

	/* not there: the kernel has no such controller */
	if (r < 0 && r != -ENOENT)
		log_warn("cgroup: %s to %s: %s", value, path, strerror(-r));
}

/* Hand all controllers of the root to the children of @group ("." or a name). */
static void delegate(const char *group)
{
	char controllers[256], path[64], all[sizeof(controllers) * 2] = "";
	ssize_t len =
		io_read_file_at(root_fd, "cgroup.controllers", controllers, sizeof(controllers));
	size_t used = 0;

	if (len <= 0)
		return;
	controllers[strcspn(controllers, "\n")] = '\0';
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", group);
	for (char *at = strtok(controllers, " "); at; at = strtok(NULL, " "))
		used += (size_t)snprintf(all + used, sizeof(all) - used, "+%s ", at);
	/* all at once, because each write waits for all processors */
	if (used == 0 || io_write_file_at(root_fd, path, all) == 0)
		return;
	/* one that is refused must not take the others with it */
	for (char *at = strtok(all, " "); at; at = strtok(NULL, " "))
		try_write(path, at);
}

static uint64_t read_number(const char *path)
{
	char text[32];
	ssize_t len = io_read_file_at(AT_FDCWD, path, text, sizeof(text));
	uint64_t value = UINT64_MAX;

	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (len <= 0 || num_parse_u64(text, (size_t)len, UINT64_MAX, &value) < 0)
		return UINT64_MAX;
	return value;
}

/* So that no container and no service can use up the numbers that init needs to start anything. */
static void limit_pids(const char *path, uint64_t all, unsigned percent)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)(all * percent / 100));
	try_write(path, text);
}

void cgroup_make_tree(void)
{
	static const char *const groups[] = {"init", CGROUP_SERVICES, CGROUP_CONTAINERS};
	uint64_t pids, threads;

	if (!options.cgroup_root)
		return;
	root_fd = open(options.cgroup_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0) {
		log_error("cgroup: open %s: %s", options.cgroup_root, strerror(errno));
		options.cgroup_root = NULL;
		return;
	}
	for (unsigned i = 0; i < 3; i++)
		if (mkdirat(root_fd, groups[i], 0755) < 0 && errno != EEXIST)
			log_error("cgroup: make %s: %s", groups[i], strerror(errno));
	if (options.subreaper)
		return;
	try_write("init/cgroup.procs", "1");
	delegate(".");
	delegate(CGROUP_SERVICES);
	delegate(CGROUP_CONTAINERS);
	try_write("init/memory.min", INIT_MEMORY_MIN);
	pids = read_number("/proc/sys/kernel/pid_max");
	threads = read_number("/proc/sys/kernel/threads-max");
	if (threads < pids)
		pids = threads;
	if (pids == UINT64_MAX)
		return;
	limit_pids(CGROUP_CONTAINERS "/pids.max", pids, CONTAINERS_PIDS_PERCENT);
	limit_pids(CGROUP_SERVICES "/pids.max", pids, SERVICES_PIDS_PERCENT);
}

void cgroup_protect_services(uint64_t bytes)
{
	char text[32];

	if (root_fd < 0 || options.subreaper || bytes == 0)
		return;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	try_write(CGROUP_SERVICES "/memory.min", text);
}

int cgroup_open_service(const struct service_config *c)
{
	char path[sizeof(CGROUP_SERVICES) + INIT_ID_BYTES];
	int fd;

	if (root_fd < 0)
		return -1;
	snprintf(path, sizeof(path), CGROUP_SERVICES "/%s", c->name);
	if (mkdirat(root_fd, path, 0755) < 0 && errno != EEXIST)
		return errno == EPERM ? -EACCES : -errno;
	fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == EPERM ? -EACCES : -errno;
	for (unsigned i = 0; i < c->limit_count; i++) {
		int r = io_write_file_at(fd, c->limits[i].file, c->limits[i].value);

		if (r < 0)
			log_error("%s: cgroup.%s=%s: %s", c->name, c->limits[i].file,
				c->limits[i].value, strerror(-r));
	}
	return fd;
}

bool cgroup_kill(const char *parent, const char *name)
{
	char path[sizeof(CGROUP_CONTAINERS) + INIT_ID_BYTES + sizeof("/cgroup.kill")];

	if (root_fd < 0)
		return false;
	snprintf(path, sizeof(path), "%s%s%s/cgroup.kill", parent, name ? "/" : "",
		name ? name : "");
	return io_write_file_at(root_fd, path, "1") == 0;
}

void cgroup_remove_service(const char *name)
{
	char path[sizeof(CGROUP_SERVICES) + INIT_ID_BYTES];

	if (root_fd < 0)
		return;
	snprintf(path, sizeof(path), CGROUP_SERVICES "/%s", name);
	/* busy: a process is still dying; the group is used again at the next start */
	(void)unlinkat(root_fd, path, AT_REMOVEDIR);
}
