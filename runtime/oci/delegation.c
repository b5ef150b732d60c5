/* Delegated cgroups: the one that a container may be made in, and the container's own. */
#include "runtime/oci/cgroup.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Below @path the caller may make cgroups, and move processes between them and its own when @path
 * is above its own: that takes the right to write cgroup.procs here.
 * Source: cgroup-v2.rst "Delegation Containment". */
static bool is_delegated(int rootfd, const char *path)
{
	AUTO_CLOSE int fd =
		openat(rootfd, path[1] ? path + 1 : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && faccessat(fd, ".", W_OK, AT_EACCESS) == 0 &&
	       faccessat(fd, "cgroup.procs", W_OK, AT_EACCESS) == 0;
}

/* The caller's own cgroup, "/user.slice/…", as /proc/self/cgroup has it. */
static int own_path(char buf[static CGROUP_PATH_MAX])
{
	char text[CGROUP_PATH_MAX + 1024]; /* version 1's lines may be there too */
	const char *line;

	if (io_read_file_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) < 0)
		return -ENOENT;
	line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
	if (!line)
		return -ENOENT;
	line = strchr(line, '/');
	if (strcspn(line, "\n") >= CGROUP_PATH_MAX)
		return -ENAMETOOLONG;
	snprintf(buf, CGROUP_PATH_MAX, "%.*s", (int)strcspn(line, "\n"), line);
	return 0;
}

int cgroup_base(int rootfd, char buf[static CGROUP_PATH_MAX])
{
	char own[CGROUP_PATH_MAX];
	char *slash;

	buf[0] = '\0';
	if (is_delegated(rootfd, "/"))
		return 0;
	if (own_path(own) < 0)
		return -EACCES;
	/* Beside the caller if that may be: a cgroup with processes in it hands no controllers
	 * down. */
	snprintf(buf, CGROUP_PATH_MAX, "%s", own);
	slash = strrchr(buf, '/');
	if (slash == buf)
		return -EACCES;
	*slash = '\0';
	if (buf[0] && is_delegated(rootfd, buf))
		return 0;
	snprintf(buf, CGROUP_PATH_MAX, "%s", own);
	return is_delegated(rootfd, buf) ? 0 : -EACCES;
}

int cgroup_delegate(int cgroupfd, uid_t uid, gid_t gid)
{
	char text[1024];
	char *rest = text;
	const char *name;

	if (fchownat(cgroupfd, "", uid, gid, AT_EMPTY_PATH) < 0)
		return -errno;
	/* Since Linux 4.15. */
	if (io_read_file_at(AT_FDCWD, "/sys/kernel/cgroup/delegate", text, sizeof(text)) < 0)
		snprintf(text, sizeof(text),
			"cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n");
	while ((name = strsep(&rest, "\n"))) {
		/* Those of a controller are there with it. */
		if (name[0] && !strchr(name, '/') &&
			fchownat(cgroupfd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 &&
			errno != ENOENT)
			return -errno;
	}
	return 0;
}
