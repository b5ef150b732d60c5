#include "runtime/engine/files.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"
#include "runtime/engine/container.h"
#include "runtime/engine/spec.h"
#include "runtime/image/tartree.h"
#include "runtime/image/users.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

/* ST_RDONLY of sys/statvfs.h, which statfs(2) reports in f_flags */
#define STATFS_RDONLY 1

static int fail(struct err *e, int errnum, const char *what)
{
	return err_set(e, errnum, "%s: %s", what, strerror(errnum));
}

/* A copy of the root mount of a process, without what is mounted inside. */
struct bare_root {
	int pid;
	int fd; /* or -errno */
};

/* In a thread of its own, which ends where it went: in the mount namespace of the container. */
static void *clone_root(void *arg)
{
	struct bare_root *b = arg;
	AUTO_CLOSE int ns = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", b->pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || unshare(CLONE_FS) < 0 || setns(ns, CLONE_NEWNS) < 0)
		b->fd = -errno;
	else
		b->fd = sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (b->fd == -1)
		b->fd = -errno;
	return NULL;
}

/* The root of the running process @pid. */
static int open_running(int pid, enum files_view view)
{
	struct bare_root bare = {.pid = pid, .fd = -EIO};
	pthread_t thread;
	char path[64];
	int fd;

	if (view == FILES_ROOT) {
		pthread_attr_t attr;
		int r;

		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, ENDING_STACK_BYTES);
		r = pthread_create(&thread, &attr, clone_root, &bare);
		pthread_attr_destroy(&attr);
		if (r)
			return -r;
		pthread_join(thread, NULL);
		return bare.fd;
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/root", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int files_open(struct engine *en, struct container *c, enum files_view view, struct files *ret,
	struct err *e)
{
	struct container_state s;
	int fd = -ESRCH;

	*ret = (struct files){.c = c, .root = -1};
	pthread_mutex_lock(&c->op);
	s = container_state(en, c);
	if (c->removed || s.status == CONTAINER_REMOVING) {
		pthread_mutex_unlock(&c->op);
		return err_set(e, ENOENT, "No such container: %s", c->id);
	}
	/* The number is still its own: init has not waited for it before we were told. */
	if (container_runs(&s) && s.pid)
		fd = open_running(s.pid, view);
	ret->runs = fd >= 0;
	/* No process, or one that has ended this moment. */
	if (fd == -ESRCH || fd == -ENOENT)
		fd = rootfs_open(en, c, e);
	else if (fd < 0)
		fail(e, -fd, "open the container's root");
	ret->root = fd;
	ret->held = fd >= 0 && !ret->runs;
	if (!ret->held)
		pthread_mutex_unlock(&c->op);
	return fd < 0 ? fd : 0;
}

void files_close(struct files *f)
{
	fd_close(&f->root);
	if (f->held)
		pthread_mutex_unlock(&f->c->op);
	f->held = false;
}

/*
 * Clean a path by its text, as Docker does before it looks anything up: "/a/./b/../c" is "a/c".
 * @ret_follow: "/" or "/." stands at its end: what the last component leads to is meant
 */
static int clean(const char *path, char out[static PATH_BYTES_MAX], bool *ret_follow)
{
	size_t total = strlen(path);
	size_t len = 0;

	*ret_follow = total == 0 || path[total - 1] == '/' ||
		      (path[total - 1] == '.' && (total == 1 || path[total - 2] == '/'));
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && memcmp(path, "..", 2) == 0) {
			while (len > 0 && out[--len] != '/')
				;
		} else if (n > 0 && !(n == 1 && path[0] == '.')) {
			if (len + n + 2 > PATH_BYTES_MAX)
				return -ENAMETOOLONG;
			if (len)
				out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n;
		path += strspn(path, "/");
	}
	out[len] = '\0';
	return 0;
}

/* The last component, as Docker names it. */
static void name_of(const char *asked, const char *cleaned, char *buf, size_t size)
{
	size_t len = strlen(asked);
	const char *slash = strrchr(cleaned, '/');

	if (len >= 1 && asked[len - 1] == '.' && (len == 1 || asked[len - 2] == '/'))
		(void)snprintf(buf, size, ".");
	else if (!cleaned[0])
		(void)snprintf(buf, size, "/");
	else
		(void)snprintf(buf, size, "%.255s", slash ? slash + 1 : cleaned);
}

/* Where a symlink leads: what the kernel makes of it or, if that is not there, what it says. */
static void read_target(const struct files *f, const char *cleaned, struct file_found *found)
{
	AUTO_CLOSE int end = path_open_in_root(f->root, cleaned, O_PATH, 0);
	const char *slash = strrchr(cleaned, '/');
	char path[PATH_BYTES_MAX] = "";
	char text[PATH_BYTES_MAX];
	bool ignored;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", end);
	n = end >= 0 ? readlink(path, text, sizeof(text) - 1)
		     : readlinkat(found->fd, "", text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	path[0] = '\0';
	if (text[0] != '/' && slash)
		(void)snprintf(path, sizeof(path), "%.*s", (int)(slash - cleaned), cleaned);
	if (strlen(path) + strlen(text) + 2 > sizeof(path))
		return;
	(void)strcat(path, "/");
	(void)strcat(path, text);
	found->target[0] = '/';
	if (clean(path, text, &ignored) == 0)
		(void)snprintf(found->target + 1, sizeof(found->target) - 1, "%.4094s", text);
}

static int not_found(const struct files *f, const char *path, struct err *e)
{
	return err_set(e, ENOENT, "Could not find the file %.256s in container %s", path, f->c->id);
}

/* Whether @cleaned is at or below the mount point @target. */
static bool is_below(const char *cleaned, const char *target)
{
	char at[PATH_BYTES_MAX];
	bool ignored;
	size_t len;

	if (clean(target, at, &ignored) < 0)
		return false;
	len = strlen(at);
	return len && strncmp(cleaned, at, len) == 0 &&
	       (cleaned[len] == '/' || cleaned[len] == '\0');
}

/* Where "SOURCE:TARGET:OPTIONS" leads. */
static void bind_target(const char *bind, char *buf, size_t size)
{
	const char *colon = strchr(bind, ':');
	const char *target = colon ? colon + 1 : bind;

	(void)snprintf(buf, size, "%.*s", (int)strcspn(target, ":"), target);
}

/* The mounts of a container that does not run are not there; what they hide is not meant. */
static int check_mounts(const struct files *f, const char *cleaned, struct err *e)
{
	yyjson_val *host = container_host_config(f->c);
	char target[PATH_BYTES_MAX];
	yyjson_val *item;
	bool below = false;
	size_t i, n;

	if (f->runs)
		return 0;
	yyjson_arr_foreach (yyjson_obj_get(host, "Mounts"), i, n, item)
		below |= is_below(cleaned, spec_str(item, "Target"));
	yyjson_arr_foreach (yyjson_obj_get(host, "Binds"), i, n, item) {
		bind_target(yyjson_get_str(item), target, sizeof(target));
		below |= is_below(cleaned, target);
	}
	return below ? err_set(e, ENOTSUP,
			       "/%.256s is in a mount of the container, which is served only while "
			       "it runs",
			       cleaned)
		     : 0;
}

int files_find(const struct files *f, const char *path, struct file_found *ret, struct err *e)
{
	char cleaned[PATH_BYTES_MAX];
	bool follow;
	int r = clean(path, cleaned, &follow);

	*ret = (struct file_found){.fd = -1};
	if (r == 0)
		r = check_mounts(f, cleaned, e);
	if (r < 0)
		return r == -ENOTSUP ? r : fail(e, -r, path);
	r = path_open_in_root(f->root, cleaned, O_PATH | (follow ? O_DIRECTORY : O_NOFOLLOW), 0);
	if (r == -ENOENT)
		return not_found(f, path, e);
	if (r < 0)
		return fail(e, -r, path);
	ret->fd = r;
	if (fstat(r, &ret->st) < 0) {
		r = fail(e, errno, path);
		fd_close(&ret->fd);
		return r;
	}
	name_of(path, cleaned, ret->name, sizeof(ret->name));
	if (S_ISLNK(ret->st.st_mode))
		read_target(f, cleaned, ret);
	return 0;
}

int files_archive(const struct file_found *found, struct tar_writer *w, struct err *e)
{
	struct tar_tree t = {.w = w};
	int r = tar_tree_add(&t, found->fd, found->name, e);

	tar_tree_free(&t);
	r = r < 0 ? r : tar_write_end(w);
	return r;
}

int files_archive_all(const struct files *f, struct tar_writer *w, struct err *e)
{
	struct tar_tree t = {.w = w};
	int r = tar_tree_add(&t, f->root, "", e);

	tar_tree_free(&t);
	r = r < 0 ? r : tar_write_end(w);
	return r;
}

/* From fdinfo, because musl's struct statx has no stx_mnt_id. Source: proc_pid_fdinfo(5). */
static int mount_id(int fd, uint64_t *ret)
{
	char path[48];
	char text[512];
	const char *line;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	r = io_read_file_at(AT_FDCWD, path, text, sizeof(text));
	if (r < 0)
		return r;
	line = strstr(text, "mnt_id:");
	if (!line)
		return -EPROTO;
	*ret = strtoull(line + strlen("mnt_id:"), NULL, 10);
	return 0;
}

/* Docker's words for a place that nothing may be written to. */
static int check_writable(const struct files *f, int dir, struct err *e)
{
	struct statfs fs;
	uint64_t here = 0, root = 0;
	int r = mount_id(dir, &here);

	if (r == 0)
		r = mount_id(f->root, &root);
	if (r == 0 && fstatfs(dir, &fs) < 0)
		r = -errno;
	if (r < 0)
		return fail(e, -r, "look at the mount");
	if (here != root)
		return (unsigned long)fs.f_flags & STATFS_RDONLY
			       ? err_set(e, EINVAL, "mounted volume is marked read-only")
			       : 0;
	if (yyjson_get_bool(yyjson_obj_get(container_host_config(f->c), "ReadonlyRootfs")) ||
		((unsigned long)fs.f_flags & STATFS_RDONLY))
		return err_set(e, EINVAL, "container rootfs is marked read-only");
	return 0;
}

static int find_owner(const struct files *f, struct layer_policy *policy, struct err *e)
{
	const char *spec = spec_str(container_config(f->c), "User");
	struct user *user;
	int r;

	if (!spec[0])
		return 0;
	user = malloc(sizeof(*user));
	if (!user)
		return fail(e, ENOMEM, "look up the user");
	r = users_lookup_in(f->root, spec, user, e);
	if (r == 0) {
		policy->owned = 1;
		policy->uid = user->uid;
		policy->gid = user->gid;
	}
	free(user);
	return r;
}

int files_put(const struct files *f, const char *path, const struct files_put *how,
	const struct tar_input *in, struct err *e)
{
	char cleaned[PATH_BYTES_MAX];
	struct layer_policy policy = {.allow_devices = 1,
		.bytes_left = UINT64_MAX,
		.entries_left = UINT32_MAX,
		.into = cleaned,
		.keep_kind = how->keep_kind};
	AUTO_CLOSE int dir = -1;
	AUTO_CLOSE int root = -1;
	struct tree tree;
	bool ignored;
	int r = clean(path, cleaned, &ignored);

	if (r < 0)
		return fail(e, -r, path);
	r = check_mounts(f, cleaned, e);
	if (r < 0)
		return r;
	dir = path_open_in_root(f->root, cleaned, O_PATH | O_DIRECTORY, 0);
	if (dir == -ENOENT)
		return not_found(f, path, e);
	if (dir == -ENOTDIR)
		return err_set(e, EINVAL, "extraction point is not a directory");
	if (dir < 0)
		return fail(e, -dir, path);
	r = check_writable(f, dir, e);
	if (r == 0 && how->own)
		r = find_owner(f, &policy, e);
	if (r < 0)
		return r;
	root = path_open_in_root(f->root, "/", O_RDONLY | O_DIRECTORY, 0);
	if (root < 0)
		return fail(e, -root, "open the container's root");
	tree_init(&tree, root);
	tree.in_use = 1;
	r = layer_unpack_input(&tree, in, &policy, e);
	if (r == 0) {
		r = tree_finish(&tree);
		if (r < 0)
			fail(e, -r, "set the times of directories");
	}
	tree_free(&tree);
	return r;
}
