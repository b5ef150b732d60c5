#include "lib/util/cgfile.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

int cgroup_open_root(void)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct statfs fs;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		AUTO_CLOSE int fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
			continue;
		/* Anything else is no answer: who went on without would lose a cgroup. */
		if (fd < 0 || fstatfs(fd, &fs) < 0)
			return -errno;
		if (fs.f_type == CGROUP2_SUPER_MAGIC)
			return TAKE_FD(fd);
	}
	return -ENOENT;
}

int cgfile_number(int dirfd, const char *file, uint64_t *ret)
{
	char text[64];
	ssize_t n = io_read_file_at(dirfd, file, text, sizeof(text));
	size_t len;

	if (n < 0)
		return (int)n;
	len = strcspn(text, "\n");
	if (len == 3 && memcmp(text, "max", 3) == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	return num_parse_u64(text, len, UINT64_MAX, ret);
}

bool cgfile_next(const char **text, const char **ret_key, size_t *ret_len, uint64_t *ret)
{
	while (**text) {
		const char *line = *text;
		size_t len = strcspn(line, "\n");
		size_t key = strcspn(line, " \n");

		*text = line + len + (line[len] == '\n');
		if (key == len || num_parse_u64(line + key + 1, len - key - 1, UINT64_MAX, ret) < 0)
			continue;
		*ret_key = line;
		*ret_len = key;
		return true;
	}
	return false;
}

int cgfile_find(const char *text, const char *key, uint64_t *ret)
{
	const char *found;
	size_t len;
	uint64_t n;

	while (cgfile_next(&text, &found, &len, &n)) {
		if (len == strlen(key) && memcmp(found, key, len) == 0) {
			*ret = n;
			return 0;
		}
	}
	return -ENOENT;
}

/* "rbytes=10": which count it is, or -1. */
static int io_count(const char *word, size_t len)
{
	static const char *const names[CGFILE_IO_COUNTS] = {
		[CGFILE_READ_BYTES] = "rbytes",
		[CGFILE_WRITE_BYTES] = "wbytes",
		[CGFILE_DISCARD_BYTES] = "dbytes",
		[CGFILE_READS] = "rios",
		[CGFILE_WRITES] = "wios",
		[CGFILE_DISCARDS] = "dios",
	};

	for (int i = 0; i < CGFILE_IO_COUNTS; i++)
		if (strlen(names[i]) == len && memcmp(names[i], word, len) == 0)
			return i;
	return -1;
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" of @len bytes. */
static bool parse_io(const char *line, size_t len, struct cgfile_io *ret)
{
	const char *end = line + len;
	size_t colon = strcspn(line, ": \n");
	size_t device = strcspn(line, " \n");
	uint64_t major;
	uint64_t minor;

	if (colon >= device || num_parse_u64(line, colon, UINT32_MAX, &major) < 0 ||
		num_parse_u64(line + colon + 1, device - colon - 1, UINT32_MAX, &minor) < 0)
		return false;
	*ret = (struct cgfile_io){.major = (uint32_t)major, .minor = (uint32_t)minor};
	for (const char *word = line + device; word < end;) {
		size_t word_len;
		size_t key;
		uint64_t n;
		int i;

		word += strspn(word, " ");
		word_len = strcspn(word, " \n");
		key = strcspn(word, "= \n");
		i = key < word_len ? io_count(word, key) : -1;
		if (i >= 0 &&
			num_parse_u64(word + key + 1, word_len - key - 1, UINT64_MAX, &n) == 0) {
			ret->counts[i] = n;
			ret->known |= 1U << i;
		}
		word += word_len;
	}
	return true;
}

bool cgfile_next_io(const char **text, struct cgfile_io *ret)
{
	while (**text) {
		const char *line = *text;
		size_t len = strcspn(line, "\n");

		*text = line + len + (line[len] == '\n');
		if (parse_io(line, len, ret))
			return true;
	}
	return false;
}
