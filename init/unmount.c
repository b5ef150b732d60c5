#include "init/unmount.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

/* passes over the mounts; one that another lies on goes in a later pass */
#define PASSES 8

/* bytes of mountinfo; what does not fit has its turn in the next pass. Only the child that unmounts
 * touches this memory. */
static char text[256 * 1024];

static void undo_escapes(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
			s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

int unmount_parse_line(char *line, struct unmount_entry *ret)
{
	static const char *const kept[] = {"bpf", "cgroup2", "configfs", "debugfs", "devpts",
		"devtmpfs", "efivarfs", "mqueue", "nsfs", "proc", "pstore", "ramfs", "rootfs",
		"securityfs", "sysfs", "tmpfs", "tracefs"};
	char *type = strstr(line, " - ");
	char *target = line;

	if (!type)
		return -EINVAL;
	*type = '\0';
	type += 3;
	/* ID PARENT MAJOR:MINOR ROOT TARGET OPTIONS… - TYPE SOURCE OPTIONS */
	for (int i = 0; i < 4; i++) {
		target = strchr(target, ' ');
		if (!target)
			return -EINVAL;
		target++;
	}
	target[strcspn(target, " ")] = '\0';
	type[strcspn(type, " ")] = '\0';
	undo_escapes(target);
	*ret = (struct unmount_entry){.target = target};
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcmp(type, kept[i]) == 0)
			ret->keep = true;
	return 0;
}

static size_t read_mounts(void)
{
	AUTO_CLOSE int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : io_read_all(fd, text, sizeof(text) - 1);
	size_t len = n > 0 ? (size_t)n : 0;

	text[len] = '\0';
	return len;
}

/* Returns how many are left. */
static unsigned pass(bool last)
{
	size_t end = read_mounts();
	unsigned left = 0;

	while (end > 0) {
		struct unmount_entry entry;
		size_t start;

		if (text[end - 1] == '\n')
			text[--end] = '\0';
		for (start = end; start > 0 && text[start - 1] != '\n'; start--)
			;
		end = start;
		if (unmount_parse_line(text + start, &entry) < 0 || entry.keep)
			continue;
		if (umount2(entry.target, 0) == 0)
			continue;
		left++;
		if (last)
			(void)mount(NULL, entry.target, NULL, MS_REMOUNT | MS_RDONLY, NULL);
	}
	return left;
}

void unmount_all(void)
{
	for (int i = 0; i < PASSES; i++)
		if (pass(i == PASSES - 1) == 0)
			return;
}
