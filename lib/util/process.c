#include "lib/util/process.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

void process_print_tty(const struct process *p, char *buf, size_t size)
{
	dev_t tty = (dev_t)p->stat[STAT_TTY];

	if (tty == 0)
		snprintf(buf, size, "?");
	else if (major(tty) >= 136 && major(tty) <= 143)
		snprintf(buf, size, "pts/%u", minor(tty) + (major(tty) - 136) * 256);
	else
		snprintf(buf, size, "%u:%u", major(tty), minor(tty));
}

void process_print_time(const struct process *p, char *buf, size_t size)
{
	long long s = (p->stat[STAT_UTIME] + p->stat[STAT_STIME]) / sysconf(_SC_CLK_TCK);

	/* ps: days come in front */
	if (s >= 86400)
		snprintf(buf, size, "%lld-%02lld:%02lld:%02lld", s / 86400, s / 3600 % 24,
			s / 60 % 60, s % 60);
	else
		snprintf(buf, size, "%02lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

/* A kernel thread or a zombie has no words, only a name. */
void process_print_command(const struct process *p, char *buf, size_t size)
{
	if (p->command[0])
		snprintf(buf, size, "%s", p->command);
	else
		snprintf(buf, size, "[%s]%s", p->name, p->state == 'Z' ? " <defunct>" : "");
}

static int read_stat(struct process *p)
{
	char path[64];
	char text[1024];
	char *name;
	char *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", p->pid);
	if (io_read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -ESRCH;
	name = strchr(text, '(');
	/* The name may hold anything, ")" too: the last one closes it. */
	end = strrchr(text, ')');
	if (!name || !end || end < name || end[1] != ' ')
		return -ESRCH;
	*end = '\0';
	snprintf(p->name, sizeof(p->name), "%s", name + 1);
	p->state = end[2];
	end += 3;
	for (int field = STAT_STATE + 1; field < STAT_N; field++)
		p->stat[field] = strtoll(end, &end, 10);
	return 0;
}

/* The words are the container's: a terminal must not take orders from them. */
static void disarm(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\0')
			text[i] = ' ';
		else if ((unsigned char)text[i] < ' ' || text[i] == 127)
			text[i] = '?';
	}
}

int process_read(pid_t pid, struct process *p)
{
	AUTO_CLOSE int fd = -1;
	char path[64];
	struct stat st;
	ssize_t n;

	*p = (struct process){.pid = pid};
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) < 0 || read_stat(p) < 0)
		return -ESRCH;
	p->uid = st.st_uid;
	p->gid = st.st_gid;
	disarm(p->name, strlen(p->name));
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : io_read_all(fd, p->command, sizeof(p->command) - 1);
	if (n > 0 && p->command[n - 1] == '\0')
		n--;
	if (n > 0)
		disarm(p->command, (size_t)n);
	p->command[n > 0 ? n : 0] = '\0';
	return 0;
}
