/*
 * Id-mapped mounts: the owners of a bind mount's files as the container is to see them.
 * Source: OCI runtime-spec config.md "mounts" and "Linux mount options"; mount_setattr(2).
 */
#include "runtime/oci/idmap.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "runtime/oci/namespaces.h"
#include "runtime/oci/userns_maps.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static bool same_maps(const struct config_id_maps *a, const struct config_id_maps *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0);
}

static bool same_mapping(const struct config_mount *a, const struct config_mount *b)
{
	return same_maps(&a->uid_maps, &b->uid_maps) && same_maps(&a->gid_maps, &b->gid_maps);
}

/* Does @m get the mapping of the user namespace that is made for the container? */
static bool takes_new_namespace(const struct config *c, const struct config_mount *m)
{
	if (!config_mount_is_mapped(m) || !c->ns[NS_USER].given || c->ns[NS_USER].path)
		return false;
	return m->uid_maps.n == 0 ||
	       (same_maps(&m->uid_maps, &c->uid_maps) && same_maps(&m->gid_maps, &c->gid_maps));
}

static int apply(const struct container *c, size_t i, int userns, struct err *e)
{
	const struct config_mount *m = &c->config->mounts[i];
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)(unsigned)userns};
	const unsigned at = AT_EMPTY_PATH | (m->options.recursive_idmap ? AT_RECURSIVE : 0);

	if (sys_mount_setattr(c->binds[i].fd, "", at, &attr, sizeof(attr)) == 0)
		return 0;
	/* The maps stand, the tree is ours and detached: then it is the file system that says no.
	 */
	return err_set(e, errno, "mounts[%zu].options: \"%s\": %s: %s", i,
		m->options.recursive_idmap ? "ridmap" : "idmap", m->source,
		errno == EINVAL	 ? "its file system, or one mounted below it, cannot be mapped"
		: errno == EPERM ? "it is mapped already, or its file system was mounted in "
				   "another user namespace"
				 : strerror(errno));
}

/* A user namespace needs a process to be made; it lasts as long as the descriptor. */
static int make_namespace(const struct container *c, size_t i, struct err *e)
{
	const struct config_mount *m = &c->config->mounts[i];
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	AUTO_CLOSE int from = -1;
	AUTO_CLOSE int to = -1;
	char path[64];
	pid_t pid;
	int p[2];
	int fd = -1;
	int r;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_set(e, errno, "mounts[%zu].uidMappings: %s", i, strerror(errno));
	from = p[0];
	to = p[1];
	pid = sys_clone3(&args, sizeof(args));
	if (pid < 0)
		return err_set(e, errno, "mounts[%zu].uidMappings: make a user namespace: %s", i,
			strerror(errno));
	if (pid == 0) {
		/* Until the other end is closed, by hand or because the runtime is gone. */
		close(to);
		_exit(read(from, path, 1) < 0);
	}
	snprintf(path, sizeof(path), "mounts[%zu].gidMappings", i);
	r = userns_write_map(&m->gid_maps, c->host_proc, pid, "gid_map", path, e);
	if (r == 0) {
		snprintf(path, sizeof(path), "mounts[%zu].uidMappings", i);
		r = userns_write_map(&m->uid_maps, c->host_proc, pid, "uid_map", path, e);
	}
	if (r == 0) {
		fd = ns_open_user(c->host_proc, pid);
		r = fd < 0 ? err_set(e, -fd, "%s: %s", path, strerror(-fd)) : 0;
	}
	fd_close(&to);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? r : fd;
}

/* Does an earlier mount have the lists of @i? Then that one's namespace served both. */
static bool is_done(const struct config *c, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (c->mounts[k].uid_maps.n && same_mapping(&c->mounts[k], &c->mounts[i]))
			return true;
	}
	return false;
}

static int apply_lists(const struct container *c, size_t i, struct err *e)
{
	const struct config *cfg = c->config;
	AUTO_CLOSE int userns = make_namespace(c, i, e);
	int r = userns < 0 ? userns : 0;

	for (size_t k = i; r == 0 && k < cfg->n_mounts; k++) {
		if (same_mapping(&cfg->mounts[k], &cfg->mounts[i]))
			r = apply(c, k, userns, e);
	}
	return r;
}

int idmap_refuse(const struct config *c, struct err *e)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct config_mount *m = &c->mounts[i];

		if (config_mount_is_mapped(m))
			return err_set(e, EPERM,
				"mounts[%zu].options: \"%s\": %s: takes CAP_SYS_ADMIN in the user "
				"namespace "
				"that its file system was mounted in",
				i, m->options.recursive_idmap ? "ridmap" : "idmap", m->source);
	}
	return 0;
}

int idmap_sources(const struct container *c, struct err *e)
{
	const struct config *cfg = c->config;
	int r = 0;

	for (size_t i = 0; r == 0 && i < cfg->n_mounts; i++) {
		const struct config_mount *m = &cfg->mounts[i];

		if (!config_mount_is_mapped(m) || takes_new_namespace(cfg, m))
			continue;
		if (m->uid_maps.n == 0)
			r = apply(c, i, c->ns_fds[NS_USER], e);
		else if (!is_done(cfg, i))
			r = apply_lists(c, i, e);
	}
	return r;
}

int idmap_sources_by_process(const struct container *c, pid_t pid, struct err *e)
{
	const struct config *cfg = c->config;
	AUTO_CLOSE int userns = -1;
	int r = 0;

	for (size_t i = 0; r == 0 && i < cfg->n_mounts; i++) {
		if (!takes_new_namespace(cfg, &cfg->mounts[i]))
			continue;
		if (userns < 0)
			userns = ns_open_user(c->host_proc, pid);
		if (userns < 0)
			return err_set(e, -userns,
				"mounts[%zu].options: the container's user namespace: %s", i,
				strerror(-userns));
		r = apply(c, i, userns, e);
	}
	return r;
}
