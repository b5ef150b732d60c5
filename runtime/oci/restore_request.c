/* What CRIU is asked for when it restores a container. */
#include "runtime/oci/restore.h"

#include "lib/base/fd.h"
#include "runtime/oci/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The pipes among the images' standard descriptors get our ends. */
static int put_descriptors(struct restore *t, struct criu_writer *opts, struct err *e)
{
	struct arena arena = {0};
	const struct json_ctx ctx = {.arena = &arena};
	struct json_at top = {.ctx = &ctx};
	struct json_strv list = {0};
	const char *text;
	size_t len;
	yyjson_doc *doc = json_load_at(t->dirs.images, CRIU_DESCRIPTORS_FILE,
		OCI_DESCRIPTORS_BYTES_MAX, &arena, &text, &len, e);
	int r = doc ? 0 : -e->code;

	if (r == 0) {
		top.val = yyjson_doc_get_root(doc);
		r = json_strv(&top, &list, e);
	}
	for (size_t i = 0; r == 0 && i < list.n && i < 3; i++) {
		if (strncmp(list.v[i], "pipe:", 5) == 0)
			criu_put_numbered(opts, CRIU_INHERIT_FD, list.v[i], (int64_t)i);
	}
	arena_free(&arena);
	return r < 0 ? err_wrap(e, "--image-path: %s", t->dirs.images_path) : 0;
}

/* Joined namespaces: those that the images only name are handed to CRIU, others it joins itself. */
static int put_namespaces(struct restore *t, struct criu_writer *opts, struct err *e)
{
	const struct config *c = &t->n.config;

	for (enum ns_type type = 0; type < NS_N; type++) {
		const char *path = c->ns[type].path;
		const char *name = criu_external_name(type);
		int fd;

		if (!path)
			continue;
		if (type == NS_CGROUP)
			return err_set(e, ENOTSUP,
				"linux.namespaces: CRIU cannot restore into a cgroup namespace");
		if (!name) {
			criu_put_pair(opts, CRIU_JOIN_NS, ns_proc_name(type), path);
			continue;
		}
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_set(
				e, errno, "linux.namespaces: open %s: %s", path, strerror(errno));
		criu_put_numbered(
			opts, CRIU_INHERIT_FD, name, CRIU_FIRST_INHERITED + (int64_t)t->n_inherit);
		t->inherit[t->n_inherit++] = fd;
	}
	return 0;
}

/* The sources of mounts from outside, under the names that checkpoint gave them. */
static int put_external_mounts(const struct restore *t, struct criu_writer *opts, struct err *e)
{
	const struct config *c = &t->n.config;
	char path[PATH_BYTES_MAX];
	const char *name;

	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct config_mount *m = &c->mounts[i];
		const bool absolute = m->source && m->source[0] == '/';

		if (!m->options.bind || m->options.remount)
			continue;
		if (snprintf(path, sizeof(path), "%s%s%s", absolute ? "" : t->n.bundle,
			    absolute ? "" : "/", m->source) >= (int)sizeof(path))
			return err_set(e, ENAMETOOLONG, "mounts[%zu].source: %s", i, m->source);
		criu_put_pair(opts, CRIU_EXT_MNT, m->destination, path);
	}
	for (size_t i = 0; (name = rootfs_default_device(i)); i++) {
		snprintf(path, sizeof(path), "/dev/%s", name);
		criu_put_pair(opts, CRIU_EXT_MNT, path, path);
	}
	for (size_t i = 0; i < c->n_devices; i++)
		criu_put_pair(opts, CRIU_EXT_MNT, c->devices[i].path, c->devices[i].path);
	return 0;
}

int restore_put_options(struct restore *t, struct criu_writer *opts, struct err *e)
{
	const struct restore_options *o = &t->opts;
	/* As CRIU will have them. */
	const struct criu_dirs dirs = {.images = CRIU_FIRST_INHERITED,
		.work = t->dirs.work < 0 ? -1 : CRIU_FIRST_INHERITED + 1};
	int r = criu_put_common(opts, &o->common, &dirs, &t->n.config, CRIU_RESTORE_LOG, e);

	t->inherit[t->n_inherit++] = t->dirs.images;
	if (t->dirs.work >= 0)
		t->inherit[t->n_inherit++] = t->dirs.work;
	if (r == 0)
		r = put_descriptors(t, opts, e);
	if (r == 0)
		r = put_namespaces(t, opts, e);
	if (r == 0)
		r = put_external_mounts(t, opts, e);
	if (r < 0)
		return r;
	criu_put_text(opts, CRIU_ROOT, t->place);
	criu_put_number(opts, CRIU_EVASIVE_DEVICES, true);
	/* The container's process becomes our child and not CRIU's, which ends. */
	criu_put_number(opts, CRIU_RST_SIBLING, true);
	/* Of version 2 alone: others that the host may have are none of the container's. */
	if (t->n.c.cgroup >= 0)
		criu_put_pair(opts, CRIU_CG_ROOT, "", t->n.cgroup);
	if (o->lsm_profile)
		criu_put_text(opts, CRIU_LSM_PROFILE, o->lsm_profile);
	if (o->lsm_mount_context)
		criu_put_text(opts, CRIU_LSM_MOUNT_CONTEXT, o->lsm_mount_context);
	return 0;
}
