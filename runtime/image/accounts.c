/* The account files of a root filesystem: the part of users.h that touches the disk. */
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/util/path.h"
#include "runtime/image/users.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Read an account file of the image; a missing one is empty. @buf is freed by the caller. */
static int read_accounts(
	int rootfd, const char *path, struct accounts_file *ret, char **ret_buf, struct err *e)
{
	AUTO_CLOSE int fd = path_open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK, 0);
	struct stat st;
	ssize_t n;

	*ret_buf = NULL;
	*ret = (struct accounts_file){NULL, 0};
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, fd < 0 ? -fd : errno, "%s: cannot be read", path);
	if (!S_ISREG(st.st_mode) || st.st_size > IMAGE_ACCOUNTS_BYTES_MAX)
		return err_set(e, EFBIG, "%s: is no file of at most %u bytes", path,
			IMAGE_ACCOUNTS_BYTES_MAX);
	*ret_buf = malloc((size_t)st.st_size + 1);
	if (!*ret_buf)
		return err_set(e, ENOMEM, "%s: out of memory", path);
	n = io_read_all(fd, *ret_buf, (size_t)st.st_size);
	if (n < 0)
		return err_set(e, (int)-n, "%s: %s", path, strerror((int)-n));
	*ret = (struct accounts_file){*ret_buf, (size_t)n};
	return 0;
}

int users_lookup_in(int rootfd, const char *spec, struct user *ret, struct err *e)
{
	struct accounts_file passwd, group;
	char *passwd_buf = NULL;
	char *group_buf = NULL;
	int r = read_accounts(rootfd, "etc/passwd", &passwd, &passwd_buf, e);

	if (r == 0)
		r = read_accounts(rootfd, "etc/group", &group, &group_buf, e);
	if (r == 0)
		r = users_lookup(spec ? spec : "", passwd, group, ret, e);
	free(passwd_buf);
	free(group_buf);
	return r;
}
