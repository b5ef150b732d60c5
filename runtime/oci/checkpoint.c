/* checkpoint: CRIU writes what the container's processes are into files. */
#include "runtime/oci/checkpoint.h"

#include "lib/base/fd.h"
#include "lib/util/path.h"
#include "runtime/oci/commands.h"
#include "runtime/oci/container.h"
#include "runtime/oci/criu.h"
#include "runtime/oci/names.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOG_FILE "dump.log"

struct checkpoint_options {
	struct criu_options common; /* first: see CRIU_OPTION_SPECS */
	const char *parent_path;
	bool leave_running;
	bool pre_dump;
	bool tcp_skip_in_flight;
	bool link_remap;
};

#define AT(member) offsetof(struct checkpoint_options, member)

static const struct option_spec checkpoint_specs[] = {
	CRIU_OPTION_SPECS,
	{"parent-path", 0, OPTION_STR, AT(parent_path),
		"images of an earlier --pre-dump, from the image path on"},
	{"leave-running", 0, OPTION_FLAG, AT(leave_running), "the container goes on afterwards"},
	{"pre-dump", 0, OPTION_FLAG, AT(pre_dump), "memory only, and the container goes on"},
	{"tcp-skip-in-flight", 0, OPTION_FLAG, AT(tcp_skip_in_flight),
		"without TCP connections that are being made"},
	{"link-remap", 0, OPTION_FLAG, AT(link_remap), "with files that have lost their name"},
	{"status-fd", 0, OPTION_REFUSE, 0, "is of --lazy-pages, which is not supported"},
	{"page-server", 0, OPTION_REFUSE, 0, "is not supported: images go to --image-path"},
};

struct checkpoint {
	struct handle h;
	struct checkpoint_options opts;
	struct config config;
	struct criu_dirs dirs;
	int root; /* the container's, as it is now */
	int cgroup;
};

/* The container's own name of the mount point @path: CRIU knows no symlinks there. */
static void resolve(const struct checkpoint *k, const char *path, char buf[static PATH_BYTES_MAX],
	struct stat *ret_st)
{
	AUTO_CLOSE int fd = path_open_in_root(k->root, path, O_PATH, 0);
	char link[32];
	ssize_t n = -1;

	ret_st->st_mode = 0;
	if (fd >= 0 && fstat(fd, ret_st) == 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, buf, PATH_BYTES_MAX - 1);
	}
	if (n < 0)
		snprintf(buf, PATH_BYTES_MAX, "%s", path);
	else
		buf[n] = '\0';
}

/* A mount from outside is only named in the images; restore finds its source by that name. */
static void put_external_mounts(const struct checkpoint *k, struct criu_writer *opts)
{
	const struct config *c = &k->config;
	char place[PATH_BYTES_MAX];
	struct stat st;
	const char *name;

	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct config_mount *m = &c->mounts[i];

		if (!m->options.bind || m->options.remount)
			continue;
		resolve(k, m->destination, place, &st);
		criu_put_pair(opts, CRIU_EXT_MNT, place, m->destination);
	}
	for (size_t i = 0; i < c->masked_paths.n; i++) {
		resolve(k, c->masked_paths.v[i], place, &st);
		/* Directories are covered by a file system of the container's own. */
		if (st.st_mode && !S_ISDIR(st.st_mode))
			criu_put_pair(opts, CRIU_EXT_MNT, place, "/dev/null");
	}
	/* Where nobody may make nodes they are the host's. */
	for (size_t i = 0; (name = rootfs_default_device(i)); i++) {
		snprintf(place, sizeof(place), "/dev/%s", name);
		criu_put_pair(opts, CRIU_EXT_MNT, place, place);
	}
	for (size_t i = 0; i < c->n_devices; i++)
		criu_put_pair(opts, CRIU_EXT_MNT, c->devices[i].path, c->devices[i].path);
}

/* Namespaces that are somebody else's: "net[NUMBER]:NAME". */
static int put_external_namespaces(
	const struct checkpoint *k, struct criu_writer *opts, struct err *e)
{
	for (enum ns_type t = 0; t < NS_N; t++) {
		const char *name = criu_external_name(t);
		char path[64];
		char text[128];
		struct stat st;

		if (!name || !k->config.ns[t].path)
			continue;
		/* That of the process: the path may be gone. */
		snprintf(path, sizeof(path), "/proc/%lld/ns/%s", (long long)k->h.state.pid.v,
			ns_proc_name(t));
		if (stat(path, &st) < 0)
			return err_set(
				e, errno, "checkpoint: look at %s: %s", path, strerror(errno));
		snprintf(text, sizeof(text), "%s[%llu]:%s", ns_proc_name(t),
			(unsigned long long)st.st_ino, name);
		criu_put_text(opts, CRIU_EXTERNAL, text);
	}
	return 0;
}

/* CRIU stops the processes through their cgroup: one that forks meanwhile cannot slip away. */
static void put_freezer(const struct checkpoint *k, struct criu_writer *opts)
{
	char link[32];
	char path[PATH_BYTES_MAX];
	ssize_t n;

	if (k->cgroup < 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", k->cgroup);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return;
	path[n] = '\0';
	criu_put_text(opts, CRIU_FREEZE_CGROUP, path);
}

/* --parent-path leads from the images to earlier ones: CRIU says of a wrong one only that there are
 * none. */
static int put_parent(const struct checkpoint *k, struct criu_writer *opts, struct err *e)
{
	const char *path = k->opts.parent_path;
	AUTO_CLOSE int fd = -1;

	if (!path)
		return 0;
	if (path[0] == '/')
		return err_set(e, EINVAL, "--parent-path: expected a path from %s on, got \"%s\"",
			k->dirs.images_path, path);
	fd = openat(k->dirs.images, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "--parent-path: open %s/%s: %s", k->dirs.images_path, path,
			strerror(errno));
	criu_put_text(opts, CRIU_PARENT_IMG, path);
	return 0;
}

static int put_options(const struct checkpoint *k, struct criu_writer *opts, struct err *e)
{
	const struct checkpoint_options *o = &k->opts;
	int r = criu_put_common(opts, &o->common, &k->dirs, &k->config, LOG_FILE, e);

	if (r == 0)
		r = put_parent(k, opts, e);
	if (r == 0)
		r = put_external_namespaces(k, opts, e);
	if (r < 0)
		return r;
	criu_put_number(opts, CRIU_PID, k->h.state.pid.v);
	criu_put_text(opts, CRIU_ROOT, k->h.state.rootfs);
	criu_put_number(opts, CRIU_LEAVE_RUNNING, o->leave_running);
	criu_put_number(opts, CRIU_TCP_SKIP_IN_FLIGHT, o->tcp_skip_in_flight);
	criu_put_number(opts, CRIU_LINK_REMAP, o->link_remap);
	if (o->parent_path || o->pre_dump)
		criu_put_number(opts, CRIU_TRACK_MEM, true);
	put_freezer(k, opts);
	if (!o->pre_dump)
		put_external_mounts(k, opts);
	return 0;
}

/* What its first three descriptors were: restore gives it new ends of the pipes among them. */
static int write_descriptors(const struct checkpoint *k, struct err *e)
{
	const struct json_strv *list = &k->h.state.descriptors;
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_arr(doc);
	size_t len = 0;
	char *text;
	int r;

	yyjson_mut_doc_set_root(doc, top);
	for (size_t i = 0; i < list->n; i++)
		yyjson_mut_arr_add_str(doc, top, list->v[i]);
	text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &len);
	yyjson_mut_doc_free(doc);
	r = text ? state_write_file(k->dirs.images, CRIU_DESCRIPTORS_FILE, text, len, e)
		 : err_set(e, ENOMEM, "checkpoint: out of memory");
	free(text);
	return r;
}

static int dump(const struct checkpoint *k, const char *program, struct err *e)
{
	const bool pre = k->opts.pre_dump;
	AUTO_CRIU_WRITER struct criu_writer opts = {0};
	AUTO_CRIU_WRITER struct criu_writer request = {0};
	const struct criu_call call = {
		.program = program, .request = &request, .cgroup = -1, .stays_behind = pre};
	struct criu_response got;
	int r = criu_check_version(program, e);

	if (r == 0 && (pre || k->opts.parent_path))
		r = criu_check_tracking(program, e);
	if (r == 0)
		r = put_options(k, &opts, e);
	if (r == 0 && !pre)
		r = write_descriptors(k, e);
	if (r < 0)
		return r;
	criu_put_request(&request, pre ? CRIU_PRE_DUMP : CRIU_DUMP, &opts);
	r = criu_call(&call, &got, e);
	if (r == 0)
		return 0;
	criu_dirs_explain(&k->dirs, LOG_FILE, e);
	return err_wrap(e, "checkpoint container %s", k->h.state.id);
}

static int open_container(
	struct checkpoint *k, const struct globals *g, const char *id, struct err *e)
{
	char path[64];
	int r = handle_open(&k->h, g, id, e);

	if (r == 0)
		r = handle_status(&k->h, e);
	if (r < 0)
		return r;
	if (r != STATUS_RUNNING && r != STATUS_PAUSED)
		return err_set(e, EINVAL, "container %s cannot be checkpointed: it is %s", id,
			state_status_name(r));
	r = config_load(&k->config, k->h.dirfd, "config.json", NULL, NULL, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%lld/root", (long long)k->h.state.pid.v);
	k->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (k->root < 0)
		return err_set(e, errno, "checkpoint: open %s: %s", path, strerror(errno));
	k->cgroup = handle_cgroup(&k->h);
	return 0;
}

static void checkpoint_close(struct checkpoint *k)
{
	fd_close(&k->root);
	fd_close(&k->cgroup);
	criu_dirs_close(&k->dirs);
	config_free(&k->config);
	handle_close(&k->h);
}

int cmd_checkpoint(const struct globals *g, char **args, struct err *e)
{
	__attribute__((cleanup(checkpoint_close))) struct checkpoint k = {
		.h = {.rootfd = -1, .dirfd = -1},
		.dirs = CRIU_NO_DIRS,
		.root = -1,
		.cgroup = -1,
	};
	int r = options_parse_mixed(FIELDS(checkpoint_specs), args, &k.opts, &args, e);

	if (r == 0)
		r = args_count(args, 1, 1, "checkpoint [options] ID", e);
	if (r == 0)
		r = open_container(&k, g, args[0], e);
	if (r == 0)
		r = criu_dirs_open(&k.opts.common, true, &k.dirs, e);
	if (r == 0)
		r = dump(&k, g->criu, e);
	if (r < 0 || k.opts.leave_running || k.opts.pre_dump)
		return r;
	return container_destroy(&k.h, args[0], e);
}
