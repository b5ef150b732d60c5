#include "runtime/oci/seccomp_cache.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/oci/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int seccomp_cache_key(const struct config_seccomp *s, struct seccomp_cache_key *k)
{
	const struct scmp_version *lib = seccomp_version();
	uint64_t hash = 0xcbf29ce484222325;
	char head[64];
	char *json = yyjson_val_write(s->val, YYJSON_WRITE_NOFLAG, NULL);
	size_t head_len;
	size_t json_len;

	if (!json)
		return -ENOMEM;
	json_len = strlen(json);
	snprintf(head, sizeof(head), "%u.%u.%u %u ", lib ? lib->major : 0, lib ? lib->minor : 0,
		lib ? lib->micro : 0, seccomp_arch_native());
	head_len = strlen(head);
	k->len = head_len + json_len + 1;
	k->text = malloc(k->len);
	if (!k->text) {
		free(json);
		return -ENOMEM;
	}
	memcpy(k->text, head, head_len);
	memcpy(k->text + head_len, json, json_len + 1);
	free(json);
	for (size_t i = 0; i < k->len; i++)
		hash = (hash ^ (unsigned char)k->text[i]) * 0x100000001b3;
	snprintf(k->name, sizeof(k->name), "%016llx", (unsigned long long)hash);
	return 0;
}

int seccomp_cache_read(int cachefd, const struct seccomp_cache_key *k, struct seccomp_filter *ret)
{
	AUTO_CLOSE int fd = openat(cachefd, k->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *seen = malloc(k->len);
	int r = -ENOENT;

	if (fd >= 0 && seen && io_read_all(fd, seen, k->len) == (ssize_t)k->len &&
		memcmp(seen, k->text, k->len) == 0)
		r = seccomp_read_program(fd, ret);
	free(seen);
	return r;
}

/* What the directory holds, and the oldest file in it. */
struct contents {
	size_t files;
	uint64_t bytes;
	struct timespec oldest;
	char name[256]; /* of the oldest */
};

static bool is_older(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

static int look(int dirfd, const char *spared, struct contents *ret)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	*ret = (struct contents){0};
	if (!dir) {
		fd_close(&fd);
		return -errno;
	}
	while ((d = readdir(dir))) {
		struct stat st;

		/* Another runtime may have taken it out meanwhile. */
		if (fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		ret->files++;
		ret->bytes += (uint64_t)st.st_size;
		if (strcmp(d->d_name, spared) == 0 ||
			(ret->name[0] && !is_older(st.st_mtim, ret->oldest)))
			continue;
		ret->oldest = st.st_mtim;
		snprintf(ret->name, sizeof(ret->name), "%s", d->d_name);
	}
	closedir(dir);
	return 0;
}

/* Two runtimes that do this at once take out the same file, or one each: neither is a loss, a
 * filter that is missing is compiled, and one that is being read stays until it is closed. */
static void make_room(int cachefd, const char *spared)
{
	struct contents c;

	while (look(cachefd, spared, &c) == 0 && c.name[0] &&
		(c.files > OCI_SECCOMP_CACHE_FILES_MAX || c.bytes > OCI_SECCOMP_CACHE_BYTES_MAX)) {
		if (unlinkat(cachefd, c.name, 0) < 0 && errno != ENOENT)
			return;
	}
}

int seccomp_cache_write(
	int cachefd, int workfd, const struct seccomp_cache_key *k, const struct seccomp_filter *f)
{
	int r;

	/* One container's profile must not drive out everybody else's. */
	if (k->len > OCI_SECCOMP_CACHE_BYTES_MAX / 4)
		return -EFBIG;
	r = seccomp_write_program(workfd, cachefd, k->name, k->text, k->len, f);
	if (r == 0)
		make_room(cachefd, k->name);
	return r;
}
