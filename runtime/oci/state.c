#include "runtime/oci/state.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/oci/config.h"
#include "runtime/oci/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define AT(member) offsetof(struct state, member)

static int read_annotations(const struct json_at *at, void *out, struct err *e)
{
	(void)e;
	((struct state *)out)->annotations = at->val;
	return 0;
}

static const struct json_field state_fields[] = {
	{"id", JSON_STR, NULL, AT(id), JSON_REQUIRED},
	{"bundle", JSON_STR, NULL, AT(bundle), JSON_REQUIRED},
	{"rootfs", JSON_STR, NULL, AT(rootfs), JSON_REQUIRED},
	{"created", JSON_STR, NULL, AT(created), JSON_REQUIRED},
	{"cgroup", JSON_STR, NULL, AT(cgroup), 0},
	{"namespaces", JSON_U32, NULL, AT(namespaces), 0},
	{"descriptors", JSON_STRV, NULL, AT(descriptors), 0},
	{"pid", JSON_OPT_I64, NULL, AT(pid), 0},
	{"startTime", JSON_OPT_U64, NULL, AT(start_time), 0},
	{"poststart", JSON_BOOL, NULL, AT(has_poststart), 0},
	{"poststop", JSON_BOOL, NULL, AT(has_poststop), 0},
	{"seccompListener", JSON_STR, NULL, AT(seccomp_listener), 0},
	{"annotations", JSON_OBJECT, read_annotations, 0, 0},
};

const char *state_default_root(void)
{
	static const char name[] = "/sampan-oci";
	static char root[PATH_MAX] = "/run/sampan-oci";
	const char *dir = getenv("XDG_RUNTIME_DIR");

	/* Root in a user namespace that an engine made for its user does not write in /run either.
	 */
	if (dir && dir[0] == '/' && strlen(dir) < sizeof(root) - sizeof(name) &&
		faccessat(AT_FDCWD, "/run", W_OK, AT_EACCESS) < 0)
		snprintf(root, sizeof(root), "%s%s", dir, name);
	return root;
}

int state_open_root(const char *root, struct err *e)
{
	int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		char path[PATH_MAX];

		/* All parents: --root may lie in a fresh /run. */
		for (size_t i = 1; root[i] && i < sizeof(path) - 1; i++) {
			if (root[i] != '/')
				continue;
			memcpy(path, root, i);
			path[i] = '\0';
			(void)mkdir(path, 0711);
		}
		/* The sticky bit keeps the state from being tidied up with a runtime directory's
		 * old files. Source: XDG Base Directory Specification. */
		(void)mkdir(root, 0700 | S_ISVTX);
		fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return fd < 0 ? err_set(e, errno, "open the state directory %s: %s", root, strerror(errno))
		      : fd;
}

int state_check_id(const char *id, struct err *e)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
	size_t len = strlen(id);

	if (len == 0 || len > OCI_ID_BYTES_MAX || strspn(id, allowed) != len ||
		strcmp(id, ".") == 0 || strcmp(id, "..") == 0 || id[0] == '.')
		return err_set(e, EINVAL,
			"container id \"%s\": expected letters, digits and _+-. (at most %d)", id,
			OCI_ID_BYTES_MAX);
	return 0;
}

int state_open_dir(int rootfd, const char *id, struct err *e)
{
	int fd;

	if (state_check_id(id, e) < 0)
		return -e->code;
	/* For reading: state_lock() takes no O_PATH descriptor. */
	fd = openat(rootfd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ENOENT, "container %s does not exist", id);
	return fd < 0 ? err_set(e, errno, "open the state of %s: %s", id, strerror(errno)) : fd;
}

int state_make_dir(int rootfd, const char *id, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	int r;

	if (state_check_id(id, e) < 0)
		return -e->code;
	if (mkdirat(rootfd, id, 0700) < 0)
		return errno == EEXIST ? err_set(e, EEXIST, "container %s already exists", id)
				       : err_set(e, errno, "make the state directory of %s: %s", id,
						 strerror(errno));
	fd = state_open_dir(rootfd, id, e);
	r = fd < 0 ? fd : state_lock(rootfd, fd, id, OCI_KILL_WAIT_MS, e);
	if (r == -ENOENT)
		return err_set(e, ENOENT, "container %s was deleted while it was made", id);
	if (r < 0) {
		(void)unlinkat(rootfd, id, AT_REMOVEDIR);
		return r;
	}
	return TAKE_FD(fd);
}

static void ignore_key(void *arg, const char *path)
{
	(void)arg;
	(void)path;
}

int state_load(struct state *s, int dirfd, struct err *e)
{
	const struct json_ctx ctx = {.arena = &s->arena, .unknown = ignore_key};
	struct json_at top = {.ctx = &ctx};
	yyjson_doc *doc;
	const char *text;
	size_t len;

	*s = (struct state){0};
	doc = json_load_at(dirfd, "state.json", OCI_STATE_BYTES_MAX, &s->arena, &text, &len, e);
	if (!doc)
		return -e->code;
	top.val = yyjson_doc_get_root(doc);
	return json_object(&top, FIELDS(state_fields), s, e);
}

void state_free(struct state *s)
{
	arena_free(&s->arena);
	*s = (struct state){0};
}

static void add_annotations(yyjson_mut_doc *doc, yyjson_mut_val *obj, yyjson_val *annotations)
{
	if (annotations)
		yyjson_mut_obj_add_val(
			doc, obj, "annotations", yyjson_val_mut_copy(doc, annotations));
}

int state_write_file(int dirfd, const char *name, const char *text, size_t len, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char part[64];
	int r;

	snprintf(part, sizeof(part), "%s.part", name);
	fd = openat(dirfd, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : io_write_all(fd, text, len);
	if (r == 0 && renameat(dirfd, part, dirfd, name) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	if (fd >= 0)
		(void)unlinkat(dirfd, part, 0);
	return err_set(e, -r, "write %s: %s", name, strerror(-r));
}

int state_save(struct state *s, int dirfd, struct err *e)
{
	const yyjson_alc alc = json_alc(&s->arena);
	yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	char *text;
	size_t len;

	yyjson_mut_doc_set_root(doc, o);
	yyjson_mut_obj_add_str(doc, o, "id", s->id);
	yyjson_mut_obj_add_str(doc, o, "bundle", s->bundle);
	yyjson_mut_obj_add_str(doc, o, "rootfs", s->rootfs);
	yyjson_mut_obj_add_str(doc, o, "created", s->created);
	if (s->cgroup)
		yyjson_mut_obj_add_str(doc, o, "cgroup", s->cgroup);
	yyjson_mut_obj_add_uint(doc, o, "namespaces", s->namespaces);
	yyjson_mut_obj_add_int(doc, o, "pid", s->pid.v);
	yyjson_mut_obj_add_uint(doc, o, "startTime", s->start_time.v);
	yyjson_mut_obj_add_bool(doc, o, "poststart", s->has_poststart);
	yyjson_mut_obj_add_bool(doc, o, "poststop", s->has_poststop);
	if (s->seccomp_listener)
		yyjson_mut_obj_add_str(doc, o, "seccompListener", s->seccomp_listener);
	if (s->descriptors.n)
		yyjson_mut_obj_add_val(doc, o, "descriptors",
			yyjson_mut_arr_with_str(doc, s->descriptors.v, s->descriptors.n));
	add_annotations(doc, o, s->annotations);
	text = yyjson_mut_write_opts(doc, YYJSON_WRITE_NOFLAG, &alc, &len, NULL);
	if (!text)
		return err_set(e, ENOMEM, "write state.json: out of memory");
	return state_write_file(dirfd, "state.json", text, len, e);
}

int state_remove(int rootfd, const char *id)
{
	AUTO_CLOSE int fd = openat(rootfd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int dup = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = dup < 0 ? NULL : fdopendir(dup);
	struct dirent *d;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((d = readdir(dir))) {
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			(void)unlinkat(fd, d->d_name, 0);
	}
	closedir(dir);
	return unlinkat(rootfd, id, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

const char *state_status_name(enum container_status status)
{
	static const char *const names[] = {
		[STATUS_CREATING] = "creating",
		[STATUS_CREATED] = "created",
		[STATUS_RUNNING] = "running",
		[STATUS_PAUSED] = "paused",
		[STATUS_STOPPED] = "stopped",
	};

	return names[status];
}

yyjson_mut_val *state_value(
	yyjson_mut_doc *doc, const struct state *s, enum container_status status)
{
	yyjson_mut_val *o = yyjson_mut_obj(doc);

	yyjson_mut_obj_add_str(doc, o, "ociVersion", OCI_VERSION);
	yyjson_mut_obj_add_str(doc, o, "id", s->id);
	yyjson_mut_obj_add_int(doc, o, "pid", status == STATUS_STOPPED ? 0 : s->pid.v);
	yyjson_mut_obj_add_str(doc, o, "status", state_status_name(status));
	yyjson_mut_obj_add_str(doc, o, "bundle", s->bundle);
	add_annotations(doc, o, s->annotations);
	return o;
}

char *state_print(const struct state *s, enum container_status status, bool extra, size_t *ret_len)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *o = state_value(doc, s, status);
	char *text;

	yyjson_mut_doc_set_root(doc, o);
	if (extra) {
		yyjson_mut_obj_add_str(doc, o, "rootfs", s->rootfs);
		yyjson_mut_obj_add_str(doc, o, "created", s->created);
		yyjson_mut_obj_add_str(doc, o, "owner", "");
	}
	text = yyjson_mut_write(doc, extra ? YYJSON_WRITE_PRETTY_TWO_SPACES : 0, ret_len);
	yyjson_mut_doc_free(doc);
	return text;
}
