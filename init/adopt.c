#include "init/adopt.h"

#include "init/limits.h"
#include "init/loop.h"
#include "init/server.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/base/num.h"
#include "lib/base/sys.h"
#include "lib/base/time.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

/* not in every libc's idtype_t; the number is the kernel's */
#define WAIT_PIDFD ((idtype_t)3)

struct adopted {
	char id[INIT_ID_BYTES]; /* "": free */
	pid_t pid;
	int pidfd;     /* -1 once it has ended */
	bool ours;     /* known to be our child, so its number cannot become another's */
	bool sent;     /* the engine was told how it ended, and has not acknowledged it yet */
	uint32_t code; /* 0 while it runs */
	int32_t status;
	uint64_t when_ms;
};

static struct adopted table[ADOPTED_MAX];
/* One past the last slot that was ever used: memory above it stays untouched. */
static unsigned used;
/* those that run and are not ours yet */
static unsigned foreign;

int adopt_check_parent(pid_t pid)
{
	char path[32], text[512];
	const char *at;
	ssize_t len;
	uint64_t parent = 0;
	size_t digits;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	len = io_read_file_at(AT_FDCWD, path, text, sizeof(text));
	if (len < 0)
		return -ESRCH;
	/* "PID (NAME) STATE PARENT …", where NAME may hold anything, ")" too: proc(5) */
	at = strrchr(text, ')');
	if (!at || strlen(at) < 5)
		return -ESRCH;
	at += 4;
	digits = strspn(at, "0123456789");
	if (num_parse_u64(at, digits, INT32_MAX, &parent) < 0)
		return -ESRCH;
	return (pid_t)parent == getpid();
}

/* Returns the number of the process behind a pidfd, in our PID namespace; 0 if there is none. */
static pid_t pid_of(int pidfd)
{
	char path[40], text[512];
	const char *at;
	uint64_t pid = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	if (io_read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, "\nPid:\t");
	if (!at)
		return 0;
	at += 6;
	/* -1 when it is gone, which is no number here */
	if (num_parse_u64(at, strspn(at, "0123456789"), INT32_MAX, &pid) < 0)
		return 0;
	return (pid_t)pid;
}

static struct adopted *find(const char *id)
{
	for (unsigned i = 0; i < used; i++)
		if (table[i].id[0] && strcmp(table[i].id, id) == 0)
			return &table[i];
	return NULL;
}

static void ended(struct adopted *a, uint32_t code, int32_t status)
{
	if (!a->ours) {
		loop_remove(a->pidfd);
		foreign--;
	}
	fd_close(&a->pidfd);
	a->code = code;
	a->status = status;
	a->when_ms = time_now_ms();
	a->sent = false;
	server_exits_changed();
}

static void check_lost(struct adopted *a)
{
	if (a->ours || a->pidfd < 0)
		return;
	if (adopt_check_parent(a->pid) == 1 && sys_pidfd_send_signal(a->pidfd, 0, NULL, 0) == 0) {
		loop_remove(a->pidfd);
		foreign--;
		a->ours = true;
	} else if (sys_pidfd_send_signal(a->pidfd, 0, NULL, 0) < 0 && errno == ESRCH) {
		log_warn("%s: process %d ended as another's child", a->id, (int)a->pid);
		ended(a, INIT_EXIT_LOST, 0);
	}
}

/*
 * The process of an entry that is not ours ended. Either it just became ours as well and is reaped
 * like any child, or its parent has it, who may die in turn or may take its status.
 */
static void on_adopted(unsigned index)
{
	struct adopted *a = &table[index];

	if (a->pidfd < 0 || a->ours)
		return;
	/* a zombie's descriptor stays readable; its parent's next SIGCHLD or our next child looks
	 * again */
	(void)loop_change(a->pidfd, 0, LOOP_ADOPTED, index);
	check_lost(a);
}

void adopt_init(void)
{
	loop_on(LOOP_ADOPTED, on_adopted);
}

int adopt_add(const char *id, pid_t pid, int pidfd, struct err *e)
{
	AUTO_CLOSE int fd = pidfd;
	bool given = pidfd >= 0;
	unsigned i;
	int ours;

	if (id[0] == '\0')
		return err_set(e, EINVAL, "an id is needed");
	if (find(id))
		return err_set(e, EEXIST, "%s: already adopted", id);
	for (i = 0; i < used && table[i].id[0]; i++)
		;
	if (i == ADOPTED_MAX)
		return err_set(e, ENOSPC, "%d processes are adopted, no more fit", ADOPTED_MAX);
	if (pid < 2)
		return err_set(e, EINVAL, "%d: not a process to adopt", (int)pid);
	if (!given)
		fd = sys_pidfd_open(pid, 0);
	else if (pid_of(fd) != pid)
		return err_set(
			e, ESRCH, "process %d: gone, or not what the descriptor is of", (int)pid);
	/* With the descriptor open: from here on the number is checked against it. */
	ours = fd < 0 ? -errno : adopt_check_parent(pid);
	if (ours >= 0 && sys_pidfd_send_signal(fd, 0, NULL, 0) < 0)
		ours = -errno;
	if (ours < 0)
		return err_set(e, -ours, "process %d: %s", (int)pid, strerror(-ours));
	if (ours == 0 && !given)
		return err_set(
			e, ECHILD, "process %d is not a child of init; pass its pidfd", (int)pid);
	if (ours == 0) {
		int r = loop_add(fd, EPOLLIN, LOOP_ADOPTED, i);

		if (r < 0)
			return err_set(e, -r, "watch process %d: %s", (int)pid, strerror(-r));
		foreign++;
	}
	if (i == used)
		used++;
	table[i] = (struct adopted){.pid = pid, .pidfd = TAKE_FD(fd), .ours = ours};
	snprintf(table[i].id, sizeof(table[i].id), "%s", id);
	return 0;
}

int adopt_ack(const char *id, struct err *e)
{
	struct adopted *a = find(id);

	if (!a)
		return err_set(e, ENOENT, "%s: not adopted", id);
	if (a->code == 0)
		return err_set(e, EBUSY, "%s: still runs", id);
	*a = (struct adopted){.pidfd = -1};
	while (used > 0 && table[used - 1].id[0] == '\0')
		used--;
	return 0;
}

static void copy(const struct adopted *a, uint32_t type, struct init_exit *ret)
{
	init_msg_begin(ret, type, a->id);
	ret->pid = a->pid;
	ret->code = a->code;
	ret->status = a->status;
	ret->when_ms = a->when_ms;
}

bool adopt_get(unsigned index, struct init_exit *ret)
{
	for (unsigned i = 0; i < used; i++) {
		if (table[i].id[0] == '\0' || index-- > 0)
			continue;
		copy(&table[i], INIT_ADOPTED_INFO, ret);
		return true;
	}
	return false;
}

bool adopt_next_exit(struct init_exit *ret)
{
	const struct adopted *oldest = NULL;

	for (unsigned i = 0; i < used; i++) {
		const struct adopted *a = &table[i];

		if (a->id[0] && a->code && !a->sent && (!oldest || a->when_ms < oldest->when_ms))
			oldest = a;
	}
	if (oldest)
		copy(oldest, INIT_EXITED, ret);
	return oldest != NULL;
}

void adopt_mark_sent(const char *id)
{
	struct adopted *a = find(id);

	if (a)
		a->sent = true;
}

void adopt_unsend_all(void)
{
	for (unsigned i = 0; i < used; i++)
		table[i].sent = false;
}

bool adopt_reap(pid_t pid, int code, int status)
{
	for (unsigned i = 0; i < used; i++) {
		struct adopted *a = &table[i];
		siginfo_t info = {0};

		if (a->pidfd < 0 || a->pid != pid)
			continue;
		/* One that was not ours may be gone, and its number another's. */
		if (!a->ours && (waitid(WAIT_PIDFD, (id_t)a->pidfd, &info,
					 WEXITED | WNOHANG | WNOWAIT) < 0 ||
					info.si_pid != pid))
			continue;
		ended(a, (uint32_t)code, status);
		return true;
	}
	return false;
}

void adopt_check_lost(void)
{
	for (unsigned i = 0; i < used && foreign > 0; i++)
		if (table[i].id[0])
			check_lost(&table[i]);
}

unsigned adopt_signal_all(int sig)
{
	unsigned n = 0;

	for (unsigned i = 0; i < used; i++) {
		if (table[i].id[0] == '\0' || table[i].pidfd < 0)
			continue;
		(void)sys_pidfd_send_signal(table[i].pidfd, sig, NULL, 0);
		n++;
	}
	return n;
}
