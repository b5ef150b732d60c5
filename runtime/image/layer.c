#include "runtime/image/layer.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/util/path.h"
#include "runtime/image/layerpath.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* What libarchive reads from. */
struct reader {
	const struct tar_input *in;
	struct err *e;
	int failed; /* the input's error is in @e, and says more than libarchive's */
};

/* One entry on its way to the disk. */
struct item {
	struct tree *tree;
	struct reader *reader;
	const struct layer_policy *policy;
	struct archive *archive;
	struct archive_entry *entry;
	const char *path; /* clean */
	const char *name; /* its last component, in @path */
	size_t dir_len;	  /* bytes of @path before the name */
	int dirfd;	  /* of its parent, borrowed */
};

static int fail(struct err *e, int errnum, const char *what)
{
	return err_set(e, errnum, "%s: %s", what, strerror(errnum));
}

const struct layer_device layer_devices[LAYER_DEVICES] = {
	{1, 3}, /* null */
	{1, 5}, /* zero */
	{1, 7}, /* full */
	{1, 8}, /* random */
	{1, 9}, /* urandom */
	{5, 0}, /* tty */
	{5, 1}, /* console */
	{5, 2}, /* ptmx */
};

static int check_device(const struct item *it, const struct layer_policy *policy, struct err *e)
{
	unsigned major = (unsigned)archive_entry_rdevmajor(it->entry);
	unsigned minor = (unsigned)archive_entry_rdevminor(it->entry);
	int is_char = archive_entry_filetype(it->entry) == AE_IFCHR;

	/* overlayfs takes a character device 0:0 for a whiteout of its own. */
	if (is_char && major == 0 && minor == 0)
		return err_set(e, EPERM, "is a character device 0:0, which would hide files");
	if (policy->allow_devices)
		return 0;
	for (size_t i = 0; is_char && i < LAYER_DEVICES; i++) {
		if (layer_devices[i].major == major && layer_devices[i].minor == minor)
			return 0;
	}
	return err_set(e, EPERM, "is the %s device %u:%u, which is not allowed",
		is_char ? "character" : "block", major, minor);
}

/* Without a descriptor: the name is the last component, so it is not followed. */
static int set_xattr_at(const struct item *it, const char *name, const void *value, size_t size)
{
	char path[64 + 256];
	int r;

	/* In a process of its own, which has no /proc and one thread: from the directory that it is
	 * in. */
	if (it->tree->set_opaque) {
		if (fchdir(it->dirfd) < 0)
			return -1;
		r = lsetxattr(it->name, name, value, size, 0);
		return fchdir(it->tree->rootfd) < 0 ? -1 : r;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", it->dirfd, it->name);
	return lsetxattr(path, name, value, size, 0);
}

static int set_xattrs(const struct item *it, int fd, struct err *e)
{
	unsigned n = 0;

	if (archive_entry_xattr_reset(it->entry) > IMAGE_XATTRS_MAX)
		return err_set(e, E2BIG, "has more than %d extended attributes", IMAGE_XATTRS_MAX);
	for (;;) {
		const char *name;
		const void *value;
		size_t size;
		enum layer_xattr kind;
		int r;

		if (archive_entry_xattr_next(it->entry, &name, &value, &size) != ARCHIVE_OK ||
			!name)
			return 0;
		kind = layer_xattr_classify(name);
		if (kind == LAYER_XATTR_REFUSED)
			return err_set(e, EPERM, "attribute %s is not allowed", name);
		if (kind == LAYER_XATTR_LOCAL)
			continue;
		if (++n > IMAGE_XATTRS_MAX || size > IMAGE_XATTR_BYTES_MAX)
			return err_set(e, E2BIG, "attribute %.100s is too long", name);
		r = fd >= 0 ? fsetxattr(fd, name, value, size, 0)
			    : set_xattr_at(it, name, value, size);
		if (r < 0)
			return err_set(e, errno, "set attribute %.100s: %s", name, strerror(errno));
	}
}

/* Remove what a lower layer's directory has: the upper layer's attributes are all there are. Those
 * that belong to this machine stay. */
static int drop_xattrs(int fd, struct err *e)
{
	char names[IMAGE_XATTRS_MAX * 256];
	ssize_t len = flistxattr(fd, names, sizeof(names));

	if (len < 0)
		return errno == ENOTSUP ? 0 : fail(e, errno, "list attributes");
	for (const char *name = names; name < names + len; name += strlen(name) + 1) {
		if (layer_xattr_classify(name) == LAYER_XATTR_PLAIN && fremovexattr(fd, name) < 0 &&
			errno != ENODATA)
			return err_set(
				e, errno, "remove attribute %.100s: %s", name, strerror(errno));
	}
	return 0;
}

static struct timespec mtime_of(const struct item *it)
{
	return (struct timespec){
		archive_entry_mtime(it->entry), archive_entry_mtime_nsec(it->entry)};
}

static int check_owner(const struct item *it, struct err *e)
{
	la_int64_t uid = archive_entry_uid(it->entry);
	la_int64_t gid = archive_entry_gid(it->entry);

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return err_set(e, ERANGE, "owner %lld:%lld is out of range", (long long)uid,
			(long long)gid);
	return 0;
}

static uid_t owner_of(const struct item *it)
{
	return it->policy->owned ? it->policy->uid : (uid_t)archive_entry_uid(it->entry);
}

static gid_t group_of(const struct item *it)
{
	return it->policy->owned ? it->policy->gid : (gid_t)archive_entry_gid(it->entry);
}

/* Owner, mode, attributes. In this order: chown clears setuid bits and file capabilities. */
static int set_metadata(const struct item *it, int fd, struct err *e)
{
	uid_t uid = owner_of(it);
	gid_t gid = group_of(it);

	if (fchown(fd, uid, gid) < 0) {
		if (errno == EPERM)
			return err_set(
				e, EPERM, "chown: not permitted; run as root or under fakeroot");
		return fail(e, errno, "chown");
	}
	if (fchmod(fd, archive_entry_perm(it->entry)) < 0)
		return fail(e, errno, "chmod");
	return set_xattrs(it, fd, e);
}

/* Set the mode of a fifo or device. A container that runs may have put a symlink in its place. */
static int set_mode_at(const struct item *it)
{
	AUTO_CLOSE int fd = openat(it->dirfd, it->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char proc_path[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	(void)snprintf(proc_path, sizeof(proc_path), "/proc/self/fd/%d", fd);
	return chmod(proc_path, archive_entry_perm(it->entry)) < 0 ? -errno : 0;
}

/* The same for what has no descriptor: symlinks, fifos, devices. */
static int set_metadata_at(const struct item *it, struct err *e)
{
	uid_t uid = owner_of(it);
	gid_t gid = group_of(it);
	const struct timespec times[2] = {mtime_of(it), mtime_of(it)};
	int r;

	if (fchownat(it->dirfd, it->name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(e, errno, "chown");
	/* A symlink has no mode. */
	r = archive_entry_filetype(it->entry) == AE_IFLNK ? 0 : set_mode_at(it);
	if (r < 0)
		return fail(e, -r, "chmod");
	r = set_xattrs(it, -1, e);
	if (r == 0 && utimensat(it->dirfd, it->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(e, errno, "set time");
	return r;
}

static int write_content(const struct item *it, int fd, struct err *e)
{
	la_int64_t size = archive_entry_size(it->entry);
	la_int64_t end = 0;
	const void *buf;
	la_int64_t at;
	size_t len;
	int r;

	/* Blocks have offsets; what lies between two of them is a hole of a sparse file. */
	while ((r = archive_read_data_block(it->archive, &buf, &len, &at)) == ARCHIVE_OK) {
		if (at < end || len > (size_t)size || at > size - (la_int64_t)len)
			return err_set(e, EINVAL, "its data does not fit its size");
		r = io_pwrite_all(fd, buf, len, (uint64_t)at);
		if (r < 0)
			return fail(e, -r, "write");
		end = at + (la_int64_t)len;
	}
	if (it->reader->failed)
		return it->reader->failed;
	if (r != ARCHIVE_EOF)
		return err_set(e, EINVAL, "%s", archive_error_string(it->archive));
	if (end < size && ftruncate(fd, size) < 0)
		return fail(e, errno, "write");
	return 0;
}

static int make_file(const struct item *it, struct layer_policy *policy, struct err *e)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	const struct timespec times[2] = {mtime_of(it), mtime_of(it)};
	la_int64_t size = archive_entry_size(it->entry);
	AUTO_CLOSE int fd = -1;
	int r;

	if (size < 0 || (uint64_t)size > policy->bytes_left)
		return err_set(e, EFBIG, "unpacks to more bytes than are allowed");
	policy->bytes_left -= (uint64_t)size;
	fd = openat(it->dirfd, it->name, flags, 0600);
	if (fd < 0 && errno == EEXIST) {
		r = tree_remove(it->tree, it->dirfd, it->name);
		if (r < 0)
			return fail(e, -r, "replace");
		fd = openat(it->dirfd, it->name, flags, 0600);
	}
	if (fd < 0)
		return fail(e, errno, "create");
	r = size > 0 ? write_content(it, fd, e) : 0;
	if (r == 0)
		r = set_metadata(it, fd, e);
	if (r == 0 && futimens(fd, times) < 0)
		return fail(e, errno, "set time");
	return r;
}

static int make_directory(const struct item *it, struct err *e)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	AUTO_CLOSE int fd = -1;
	int existed;
	int hidden = 0;
	int r;

	existed = mkdirat(it->dirfd, it->name, 0700) < 0;
	if (existed && errno != EEXIST)
		return fail(e, errno, "make directory");
	/* A directory of a lower layer stays; anything else, also a symlink to one, is replaced. */
	fd = openat(it->dirfd, it->name, flags);
	if (fd < 0) {
		hidden = tree_is_whiteout(it->tree, it->dirfd, it->name);
		r = tree_remove(it->tree, it->dirfd, it->name);
		if (r < 0)
			return fail(e, -r, "replace");
		if (mkdirat(it->dirfd, it->name, 0700) < 0)
			return fail(e, errno, "make directory");
		existed = 0;
		fd = openat(it->dirfd, it->name, flags);
	}
	if (fd < 0)
		return fail(e, errno, "open");
	r = existed && !it->policy->into ? drop_xattrs(fd, e) : 0;
	if (r == 0)
		r = set_metadata(it, fd, e);
	if (r < 0)
		return r;
	r = hidden ? tree_make_opaque(it->tree, fd) : 0;
	if (r < 0)
		return fail(e, -r, "hide what is below");
	if (tree_set_dir_time(it->tree, it->path, mtime_of(it)) < 0)
		return fail(e, ENOMEM, "make directory");
	/* Its files are likely to come next. If it was open already, the new descriptor serves. */
	r = tree_adopt(it->tree, it->path, TAKE_FD(fd));
	return r < 0 ? fail(e, -r, "make directory") : 0;
}

/* Make a symlink, fifo or device, once what is in the way is gone. */
static int make_special(const struct item *it, struct err *e)
{
	mode_t type = archive_entry_filetype(it->entry);
	const char *target = archive_entry_symlink(it->entry);
	int r = tree_remove(it->tree, it->dirfd, it->name);

	if (r < 0)
		return fail(e, -r, "replace");
	if (type == AE_IFLNK) {
		if (!target || !target[0])
			return err_set(e, EINVAL, "is a symlink without a target");
		r = symlinkat(target, it->dirfd, it->name);
	} else {
		r = mknodat(it->dirfd, it->name, type | 0600, archive_entry_rdev(it->entry));
	}
	if (r < 0)
		return fail(e, errno, "create");
	return set_metadata_at(it, e);
}

/* Open the directory that holds the target of a hard link; @ret_name is its last component. */
static int link_parent(const struct item *it, const char *target, const char **ret_name)
{
	const char *slash = strrchr(target, '/');

	*ret_name = slash ? slash + 1 : target;
	return tree_parent(it->tree, target, slash ? (size_t)(slash - target) : 0, 0);
}

/* Bring a name of the archive into the form that the tree has: clean, from its root. */
static int clean_below(const struct layer_policy *policy, const char *raw, char *path, size_t size)
{
	const char *into = policy->into ? policy->into : "";
	size_t len = strlen(into);

	if (!len)
		return layer_path_clean(raw, path, size);
	if (len + 2 > size)
		return -ENAMETOOLONG;
	(void)snprintf(path, size, "%s/", into);
	return layer_path_clean(raw, path + len + 1, size - len - 1);
}

static int make_hardlink(const struct item *it, struct err *e)
{
	const char *written = archive_entry_hardlink(it->entry);
	char target[PATH_BYTES_MAX];
	const char *name;
	int r = clean_below(it->policy, written, target, sizeof(target));
	int fd;

	if (r == -EPERM)
		return err_set(e, EPERM, "is a hard link to %s, which leaves the root", written);
	if (r < 0 || !target[0])
		return err_set(e, EINVAL, "is a hard link to %.200s, which cannot be", written);
	if (strcmp(target, it->path) == 0)
		return err_set(e, EINVAL, "is a hard link to itself");
	r = tree_remove(it->tree, it->dirfd, it->name);
	if (r < 0)
		return fail(e, -r, "replace");
	/* After the removal, which may have closed it. Flags 0: a symlink is linked, not followed.
	 */
	fd = link_parent(it, target, &name);
	if (fd < 0 || linkat(fd, name, it->dirfd, it->name, 0) < 0)
		return err_set(e, fd < 0 ? -fd : errno, "hard link to %s: %s", target,
			strerror(fd < 0 ? -fd : errno));
	return 0;
}

/* Refuse to put a file in a directory's place, and the reverse. */
static int check_kind(const struct item *it, struct err *e)
{
	int is_dir =
		archive_entry_filetype(it->entry) == AE_IFDIR && !archive_entry_hardlink(it->entry);
	struct stat st;

	if (fstatat(it->dirfd, it->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(e, errno, "stat");
	if (S_ISDIR(st.st_mode) && !is_dir)
		return err_set(e, EINVAL,
			"cannot overwrite directory \"/%s\" with non-directory \"/%s\"", it->path,
			it->policy->into);
	if (!S_ISDIR(st.st_mode) && is_dir)
		return err_set(e, EINVAL,
			"cannot overwrite non-directory \"/%s\" with directory \"/%s\"", it->path,
			it->policy->into);
	return 0;
}

static int make_entry(const struct item *it, struct layer_policy *policy, struct err *e)
{
	int r = check_owner(it, e);

	if (r == 0 && policy->keep_kind)
		r = check_kind(it, e);
	if (r < 0)
		return r;
	if (archive_entry_hardlink(it->entry))
		return make_hardlink(it, e);
	switch (archive_entry_filetype(it->entry)) {
	case AE_IFREG:
		return make_file(it, policy, e);
	case AE_IFDIR:
		return make_directory(it, e);
	case AE_IFCHR:
	case AE_IFBLK:
		r = check_device(it, policy, e);
		return r < 0 ? r : make_special(it, e);
	case AE_IFLNK:
	case AE_IFIFO:
		return make_special(it, e);
	default:
		return err_set(e, ENOTSUP, "is of an unknown type");
	}
}

static int make_root(const struct item *it, struct err *e)
{
	int r = check_owner(it, e);

	if (r < 0)
		return r;
	if (archive_entry_filetype(it->entry) != AE_IFDIR || archive_entry_hardlink(it->entry))
		return err_set(e, EINVAL, "is the root and no directory");
	r = drop_xattrs(it->tree->rootfd, e);
	if (r == 0)
		r = set_metadata(it, it->tree->rootfd, e);
	return r < 0 ? r : tree_set_dir_time(it->tree, "", mtime_of(it));
}

static int apply_whiteout(struct item *it, int kind, const char *hidden, struct err *e)
{
	char path[PATH_BYTES_MAX];
	int r;

	snprintf(path, sizeof(path), "%.*s", (int)it->dir_len, it->path);
	it->dirfd = tree_parent(it->tree, path, it->dir_len, it->tree->overlay);
	/* Nothing there to hide. umoci also hides the files of a directory that became a file. */
	if (it->dirfd == -ENOENT || it->dirfd == -ENOTDIR)
		return 0;
	if (it->dirfd < 0)
		return fail(e, -it->dirfd, "open its directory");
	if (kind == LAYER_NAME_OPAQUE) {
		r = tree_hide_children(it->tree, it->dirfd, path);
	} else {
		snprintf(path + it->dir_len, sizeof(path) - it->dir_len, "%s%s",
			it->dir_len ? "/" : "", hidden);
		r = tree_hide(it->tree, it->dirfd, hidden, path);
	}
	return r < 0 ? fail(e, -r, "hide what is below") : 0;
}

/* Whether it is what all names of the archive are relative to. */
static int is_base(const struct item *it)
{
	size_t len = it->policy->into ? strlen(it->policy->into) : 0;

	return it->path[len ? len + 1 : 0] == '\0';
}

static int apply_entry(struct item *it, struct layer_policy *policy, struct err *e)
{
	const char *slash = strrchr(it->path, '/');
	const char *hidden;
	int kind;

	if (policy->entries_left-- == 0)
		return err_set(e, EFBIG, "is one entry more than %u", IMAGE_ENTRIES_MAX);
	if (is_base(it))
		return policy->into ? 0 : make_root(it, e);
	it->name = slash ? slash + 1 : it->path;
	it->dir_len = slash ? (size_t)(slash - it->path) : 0;
	kind = policy->into ? LAYER_NAME_PLAIN : layer_name_classify(it->name, &hidden);
	if (kind < 0)
		return err_set(e, EINVAL, "is a whiteout of nothing");
	if (kind == LAYER_NAME_RESERVED)
		return 0;
	if (kind != LAYER_NAME_PLAIN)
		return apply_whiteout(it, kind, hidden, e);
	it->dirfd = tree_parent(it->tree, it->path, it->dir_len, 1);
	if (it->dirfd < 0)
		return fail(e, -it->dirfd, "open its directory");
	if (!policy->into && tree_note(it->tree, it->path) < 0)
		return fail(e, ENOMEM, "note");
	return make_entry(it, policy, e);
}

static int clean_name(
	const struct layer_policy *policy, const char *raw, char *path, size_t size, struct err *e)
{
	int r = clean_below(policy, raw, path, size);

	if (r == -EPERM)
		return err_set(e, EPERM, "entry %.200s: leaves the root", raw);
	return r < 0 ? err_set(e, -r, "entry %.200s: %s", raw, strerror(-r)) : 0;
}

static la_ssize_t reader_read(struct archive *a, void *arg, const void **ret_buf)
{
	struct reader *rd = arg;
	ssize_t n = rd->in->next(rd->in->arg, ret_buf, rd->e);

	if (n < 0) {
		rd->failed = (int)n;
		archive_set_error(a, (int)-n, "read");
		return ARCHIVE_FATAL;
	}
	return n;
}

static int unpack_entries(struct tree *tree, struct archive *a, struct reader *rd,
	struct layer_policy *policy, struct err *e)
{
	char path[PATH_BYTES_MAX];
	struct archive_entry *entry;
	uint64_t trailer = 0;
	const void *rest;
	ssize_t n;
	int r;

	while ((r = archive_read_next_header(a, &entry)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		const char *raw = archive_entry_pathname(entry);
		struct item it = {.tree = tree,
			.reader = rd,
			.policy = policy,
			.archive = a,
			.entry = entry,
			.path = path};

		/* In a C locale libarchive cannot convert UTF-8 (ARCHIVE_WARN) and gives the bytes
		 * as they stand, which is what a file name is. */
		if (!raw)
			return err_set(e, EINVAL, "an entry's name is no text");
		r = clean_name(policy, raw, path, sizeof(path), e);
		if (r < 0)
			return r;
		r = apply_entry(&it, policy, e);
		if (rd->failed)
			return rd->failed;
		if (r < 0)
			return err_wrap(e, "entry %.200s", path[0] ? path : "/");
	}
	if (rd->failed)
		return rd->failed;
	if (r != ARCHIVE_EOF)
		return err_set(e, EINVAL, "%s", archive_error_string(a));
	/* What follows the archive's end counts for the digests. */
	while ((n = rd->in->next(rd->in->arg, &rest, e)) > 0) {
		trailer += (uint64_t)n;
		if (trailer > IMAGE_TAR_TRAILER_BYTES_MAX)
			return err_set(e, EFBIG, "more than %u bytes follow the archive's end",
				IMAGE_TAR_TRAILER_BYTES_MAX);
	}
	return (int)n;
}

static ssize_t next_of_stream(void *arg, const void **ret_buf, struct err *e)
{
	return stream_next(arg, ret_buf, e);
}

int layer_unpack(
	struct tree *tree, struct stream *stream, struct layer_policy *policy, struct err *e)
{
	const struct tar_input in = {next_of_stream, stream, 0};

	return layer_unpack_input(tree, &in, policy, e);
}

int layer_unpack_input(
	struct tree *tree, const struct tar_input *in, struct layer_policy *policy, struct err *e)
{
	struct reader rd = {.in = in, .e = e};
	struct archive *a = archive_read_new();
	int r;

	tree_next_layer(tree);
	if (!a)
		return err_set(e, ENOMEM, "no memory to unpack");
	archive_read_support_format_tar(a);
	/* No other filter: one that libarchive was built without would be a program that it starts.
	 */
	if (in->packed && (archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
				  archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
				  archive_read_support_format_empty(a) != ARCHIVE_OK))
		r = err_set(e, ENOTSUP, "libarchive was built without gzip or zstd");
	else if (archive_read_open(a, &rd, NULL, reader_read, NULL) != ARCHIVE_OK)
		r = rd.failed ? rd.failed : err_set(e, EINVAL, "%s", archive_error_string(a));
	else
		r = unpack_entries(tree, a, &rd, policy, e);
	archive_read_free(a);
	return r;
}
