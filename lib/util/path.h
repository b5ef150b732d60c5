/*
 * Paths below a root that somebody else controls: a container's root filesystem, an image being
 * unpacked. The kernel resolves them (openat2 with RESOLVE_IN_ROOT), so a symlink, "..", or a
 * rename in mid-air cannot lead out of the root. Nothing in Sampan resolves such a path in
 * another way.
 */
#ifndef SAMPAN_UTIL_PATH_H
#define SAMPAN_UTIL_PATH_H

#include <sys/types.h>

/* bytes, the NUL included: the kernel's PATH_MAX */
#define PATH_BYTES_MAX 4096

/*
 * Open @path as if @rootfd were "/". Symlinks are followed inside the root; magic links of /proc
 * are refused.
 * @rootfd: the root directory, borrowed
 * @path: absolute or relative; both start at the root
 * @flags: open(2) flags; O_CLOEXEC is added
 * @mode: for O_CREAT and O_TMPFILE; 0 otherwise
 * Returns a descriptor that the caller owns, or -errno.
 * Source: openat2(2), Linux 5.6.
 */
int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode);

/* The same for what is in the file system of @rootfd itself: -EXDEV where @path, or a symlink on
 * the way, leads to something that is mounted there. */
int path_open_in_mount(int rootfd, const char *path, int flags);

/*
 * Open the directory @path below @rootfd and make what is missing of it.
 * @mode: of the directories made, before the umask
 * Returns an O_PATH descriptor of the directory that the caller owns; -ENOTDIR if something on the
 * way is no directory; -ELOOP for a symlink to nowhere on the way; -ENAMETOOLONG; otherwise -errno.
 */
int path_make_dirs_in_root(int rootfd, const char *path, mode_t mode);

/*
 * As path_make_dirs_in_root, but where a symlink leads to nowhere, what it leads to is made: an
 * image's /var/run points to a /run that it does not have. A link's text takes the place of its
 * name in the path, and the kernel resolves the result from the root like any other.
 * Returns also -ELOOP after 40 such symlinks, the kernel's number.
 */
int path_make_dirs_through_links(int rootfd, const char *path, mode_t mode);

/*
 * Make the empty file @path below @rootfd, and its directories (0755), in the same way. What is
 * there already stays as it is, a directory too.
 * @mode: of the file, before the umask
 * Returns 0; -EINVAL for a path without a last component; otherwise as above.
 */
int path_make_file_through_links(int rootfd, const char *path, mode_t mode);

/*
 * Split @path into its parent and last component, for calls that act on a name (mknodat, linkat,
 * unlinkat, symlinkat): open the parent with path_open_in_root, then use the name.
 * @path: "a/b/c", "/a", "a/": trailing slashes are dropped
 * @parent: filled with "a/b", "/" or "."; @size bytes
 * @name_buf: filled with "c", NUL-terminated
 * Returns 0; -EINVAL for an empty path or a last component "." or ".."; -ENAMETOOLONG.
 */
int path_split(const char *path, char *parent, size_t size, char name_buf[static 256]);

#endif
