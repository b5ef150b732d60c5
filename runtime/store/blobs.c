#include "runtime/store/blobs.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/util/rmtree.h"
#include "runtime/store/images.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* room for "blobs/sha512/HEX" */
#define BLOB_PATH_BYTES (DIGEST_TEXT_BYTES + 8)

static const char *const algorithms[] = {"sha256", "sha512"};

static int fail(struct err *e, int errnum)
{
	return err_set(e, errnum, "keep a layer: %s", strerror(errnum));
}

/* Write and hash what is stored. */
static int write_out(struct blob_writer *w, const void *buf, size_t len)
{
	int r = io_write_all(w->fd, buf, len);

	if (r < 0)
		return r;
	hasher_update(&w->hash, buf, len);
	w->size += len;
	return 0;
}

static la_ssize_t packed(struct archive *a, void *arg, const void *buf, size_t len)
{
	struct blob_writer *w = arg;
	int r = write_out(w, buf, len);

	if (r < 0) {
		w->failed = r;
		archive_set_error(a, -r, "write");
		return ARCHIVE_FATAL;
	}
	return (la_ssize_t)len;
}

static int packer_error(const struct blob_writer *w, struct err *e)
{
	const char *why = archive_error_string(w->packer);

	if (w->failed)
		return fail(e, -w->failed);
	return err_set(e, EIO, "pack a layer: %s", why ? why : "out of memory");
}

/* gzip, quickly and without a time in it: the same content gives the same blob. */
static int open_packer(struct blob_writer *w, struct err *e)
{
	struct archive_entry *entry = archive_entry_new();
	int r = ARCHIVE_FATAL;

	w->packer = archive_write_new();
	if (w->packer && entry) {
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_pathname(entry, "layer");
		if (archive_write_set_format_raw(w->packer) == ARCHIVE_OK &&
			archive_write_add_filter_gzip(w->packer) == ARCHIVE_OK &&
			archive_write_set_options(w->packer,
				"gzip:compression-level=1,gzip:!timestamp") == ARCHIVE_OK &&
			archive_write_open(w->packer, w, NULL, packed, NULL) == ARCHIVE_OK)
			r = archive_write_header(w->packer, entry);
	}
	archive_entry_free(entry);
	if (!w->packer)
		return fail(e, ENOMEM);
	return r == ARCHIVE_OK ? 0 : packer_error(w, e);
}

int blob_writer_open(struct blob_writer *w, const struct image_store *s, const struct digest *like,
	bool pack, struct err *e)
{
	static const struct digest sha256 = {"sha256:"};
	int r = 0;

	*w = (struct blob_writer){.digest = like && !pack ? *like : sha256};
	w->fd = openat(s->root, "blobs", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (w->fd < 0)
		return fail(e, errno);
	r = hasher_start(&w->hash, &w->digest);
	if (r < 0)
		fail(e, -r);
	w->hashes = r == 0;
	if (r == 0 && pack)
		r = open_packer(w, e);
	if (r < 0)
		blob_writer_close(w);
	return r;
}

int blob_writer_add(struct blob_writer *w, const void *buf, size_t len)
{
	if (!w->packer)
		return write_out(w, buf, len);
	if (archive_write_data(w->packer, buf, len) < 0)
		return w->failed ? w->failed : -EIO;
	return 0;
}

int blob_writer_finish(struct blob_writer *w, const struct digest *want, struct err *e)
{
	int r;

	if (w->packer && archive_write_close(w->packer) != ARCHIVE_OK)
		return packer_error(w, e);
	r = hasher_finish(&w->hash, &w->digest);
	if (r < 0)
		return fail(e, -r);
	if (want && strcmp(w->digest.text, want->text) != 0)
		return err_set(e, EBADMSG, "content does not match its digest %s", want->text);
	return 0;
}

int blob_writer_keep(struct blob_writer *w, const struct image_store *s, struct err *e)
{
	char path[BLOB_PATH_BYTES];
	char from[64];
	char dir[32];
	AUTO_CLOSE int dirfd = -1;

	digest_blob_path(&w->digest, path, sizeof(path));
	(void)snprintf(dir, sizeof(dir), "%.12s", path);
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", w->fd);
	dirfd = openat(s->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* The name after the content: power may go at any moment. */
	if (dirfd < 0 || fsync(w->fd) < 0 ||
		(linkat(AT_FDCWD, from, s->root, path, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST) ||
		fsync(dirfd) < 0)
		return fail(e, errno);
	return 0;
}

void blob_writer_close(struct blob_writer *w)
{
	if (w->packer)
		archive_write_free(w->packer);
	if (w->hashes)
		hasher_free(&w->hash);
	fd_close(&w->fd);
	*w = (struct blob_writer){.fd = -1};
}

int blob_store_has(const struct image_store *s, const struct digest *digest)
{
	char path[BLOB_PATH_BYTES];

	digest_blob_path(digest, path, sizeof(path));
	return faccessat(s->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int blob_store_open(
	const struct image_store *s, const struct digest *digest, struct blob *ret, struct err *e)
{
	char path[BLOB_PATH_BYTES];
	struct stat st;
	AUTO_CLOSE int fd = -1;

	digest_blob_path(digest, path, sizeof(path));
	fd = openat(s->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, errno, "%s: %s", path, strerror(errno));
	*ret = (struct blob){.fd = TAKE_FD(fd), .owned = 1, .size = (uint64_t)st.st_size};
	return 0;
}

static int seen(void *arg, const struct db_row *row)
{
	(void)arg;
	(void)row;
	return 1;
}

/* Whether a layer on record has it: 1, 0 or -errno. */
static int in_use(struct image_store *s, const char *digest, struct err *e)
{
	return db_each(
		s->db, e, seen, NULL, "SELECT 1 FROM layers WHERE blob = ? LIMIT 1", "s", digest);
}

void blob_store_drop(struct image_store *s, const char *digest)
{
	struct digest d;
	char path[BLOB_PATH_BYTES];

	if (digest_parse(digest, &d) < 0 || in_use(s, digest, NULL) != 0)
		return;
	digest_blob_path(&d, path, sizeof(path));
	(void)unlinkat(s->root, path, 0);
}

struct sweep {
	struct image_store *s;
	const char *algorithm;
	struct err *e;
};

static int is_in_use(void *arg, const char *name)
{
	const struct sweep *sw = arg;
	char digest[DIGEST_TEXT_BYTES + 256];

	(void)snprintf(digest, sizeof(digest), "%s:%s", sw->algorithm, name);
	return in_use(sw->s, digest, sw->e);
}

/* Remove from blobs/@algorithm what is on no record. */
static int sweep_algorithm(struct image_store *s, const char *algorithm, struct err *e)
{
	struct sweep sw = {s, algorithm, e};
	char path[BLOB_PATH_BYTES];
	AUTO_CLOSE int fd = -1;
	int r;

	(void)snprintf(path, sizeof(path), "blobs/%s", algorithm);
	if ((mkdirat(s->root, "blobs", 0700) < 0 && errno != EEXIST) ||
		(mkdirat(s->root, path, 0700) < 0 && errno != EEXIST))
		return err_set(e, errno, "make %s: %s", path, strerror(errno));
	fd = openat(s->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open %s: %s", path, strerror(errno));
	r = rmtree_contents_but(fd, is_in_use, &sw);
	return r < 0 && !e->code ? err_set(e, -r, "sweep %s: %s", path, strerror(-r)) : r;
}

int blob_store_sweep(struct image_store *s, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		r = sweep_algorithm(s, algorithms[i], e);
	return r;
}
