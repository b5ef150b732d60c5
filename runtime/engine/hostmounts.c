#include "runtime/engine/hostmounts.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* MNT_DETACH of sys/mount.h, which clashes with linux/mount.h */
#define DETACH 2

void mount_detach(const char *path)
{
	(void)sys_umount2(path, DETACH);
}

/* A path of mountinfo, where some bytes stand as \ooo. In place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from;) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/* The next mount of the file. @line: owned by getline(). Source: proc_pid_mountinfo(5). */
static bool next_mount(
	FILE *f, char **line, size_t *room, long *ret_id, char **ret_path, char **ret_more)
{
	while (getline(line, room, f) > 0) {
		char *save = NULL;
		char *word = strtok_r(*line, " ", &save);

		*ret_id = word ? strtol(word, NULL, 10) : 0;
		for (int i = 0; word && i < 4; i++)
			word = strtok_r(NULL, " ", &save);
		if (!word)
			continue;
		*ret_path = word;
		*ret_more = save;
		unescape(word);
		return true;
	}
	return false;
}

void mounts_detach_below(const char *dir, bool (*keep)(void *arg, const char *path), void *arg)
{
	/* mountinfo has no symlinks. */
	char *real = realpath(dir, NULL);
	FILE *f = real ? fopen("/proc/self/mountinfo", "re") : NULL;
	size_t len = real ? strlen(real) : 0;
	char *line = NULL;
	size_t room = 0;
	char *path, *more;
	long id;

	while (f && next_mount(f, &line, &room, &id, &path, &more))
		if (strncmp(path, real, len) == 0 && path[len] == '/' &&
			!(keep && keep(arg, path + len + 1)))
			mount_detach(path);
	free(line);
	if (f)
		(void)fclose(f);
	free(real);
}

/* The number of the mount that @path is in: fdinfo tells it, whichever libc. */
static long mount_id_of(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	char name[64];
	char text[512];
	const char *line;

	if (fd < 0)
		return -errno;
	(void)snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	if (io_read_file_at(AT_FDCWD, name, text, sizeof(text)) < 0)
		return -EIO;
	line = strstr(text, "mnt_id:");
	return line ? strtol(line + strlen("mnt_id:"), NULL, 10) : -EIO;
}

int mount_propagation_of(const char *path, bool *ret_shared, bool *ret_slave)
{
	long wanted = mount_id_of(path);
	FILE *f = wanted < 0 ? NULL : fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;
	char *at, *more;
	int r = -ENOENT;
	long id;

	if (!f)
		return wanted < 0 ? (int)wanted : -errno;
	while (r == -ENOENT && next_mount(f, &line, &room, &id, &at, &more)) {
		if (id != wanted)
			continue;
		*ret_shared = strstr(more, "shared:") != NULL;
		*ret_slave = strstr(more, "master:") != NULL;
		r = 0;
	}
	free(line);
	(void)fclose(f);
	return r;
}
