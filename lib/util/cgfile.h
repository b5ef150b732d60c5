/*
 * Reading what the kernel counts in the files of a cgroup. Texts are parsed by pure functions.
 * Source: kernel admin-guide/cgroup-v2.rst.
 */
#ifndef SAMPAN_UTIL_CGFILE_H
#define SAMPAN_UTIL_CGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes of a statistics file: io.stat has a line of about 100 for each disk */
#define CGFILE_BYTES_MAX (64U << 10)

/*
 * Open the cgroup2 mount: /sys/fs/cgroup, or /sys/fs/cgroup/unified where the host still runs
 * version 1 beside it.
 * Returns a descriptor that the caller owns; -ENOENT if there is none; otherwise -errno.
 */
int cgroup_open_root(void);

/* A file of one number below @dirfd; "max" is UINT64_MAX. Returns 0; -EINVAL; otherwise -errno. */
int cgfile_number(int dirfd, const char *file, uint64_t *ret);

/* The next "KEY NUMBER" of @*text, which moves behind it; lines of another form are left out.
 * @ret_key: @ret_len bytes, not terminated */
bool cgfile_next(const char **text, const char **ret_key, size_t *ret_len, uint64_t *ret);

/* The number behind @key in lines of "KEY NUMBER". Returns 0 or -ENOENT. */
int cgfile_find(const char *text, const char *key, uint64_t *ret);

enum cgfile_io_count {
	CGFILE_READ_BYTES,
	CGFILE_WRITE_BYTES,
	CGFILE_DISCARD_BYTES,
	CGFILE_READS,
	CGFILE_WRITES,
	CGFILE_DISCARDS,
	CGFILE_IO_COUNTS,
};

/* One device's line of io.stat. */
struct cgfile_io {
	uint32_t major;
	uint32_t minor;
	uint32_t known; /* bit 1 << enum cgfile_io_count for each number that the line has */
	uint64_t counts[CGFILE_IO_COUNTS];
};

/* The next device's line of @*text, which moves behind it; other lines are left out. */
bool cgfile_next_io(const char **text, struct cgfile_io *ret);

#endif
