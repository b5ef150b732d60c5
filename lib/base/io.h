/* Whole reads and writes: EINTR and short counts are dealt with here and nowhere else. */
#ifndef SAMPAN_BASE_IO_H
#define SAMPAN_BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Read until @len bytes or end of file.
 * Returns the bytes read (less than @len only at end of file), or -errno.
 */
ssize_t io_read_all(int fd, void *buf, size_t len);

/* Write all @len bytes. Returns 0 or -errno. */
int io_write_all(int fd, const void *buf, size_t len);

/* Read all @len bytes at byte @offset. Returns 0; -EIO if the file ends before; otherwise -errno.
 */
int io_pread_all(int fd, void *buf, size_t len, uint64_t offset);

/* Write all @len bytes at byte @offset. Returns 0 or -errno. */
int io_pwrite_all(int fd, const void *buf, size_t len, uint64_t offset);

/*
 * Read a small file (a /proc, /sys, cgroup or /etc file) whole, NUL-terminated.
 * @dirfd: directory or AT_FDCWD, borrowed
 * @size: of @buf, bytes, the NUL included
 * Returns the length without the NUL; -EFBIG if the file does not fit; otherwise -errno.
 */
ssize_t io_read_file_at(int dirfd, const char *path, char *buf, size_t size);

/*
 * Write @text to an existing file with one write(), as /proc, /sys and cgroup files want it.
 * Returns 0 or -errno; a short write is -EIO.
 */
int io_write_file_at(int dirfd, const char *path, const char *text);

#endif
