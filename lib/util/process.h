/* One process out of /proc, for the commands that list them. */
#ifndef SAMPAN_UTIL_PROCESS_H
#define SAMPAN_UTIL_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/* Fields of /proc/PID/stat, counted as proc(5) does: the third is the first behind the name. */
enum process_field {
	STAT_STATE = 3,
	STAT_PPID,
	STAT_PGRP,
	STAT_SESSION,
	STAT_TTY,
	STAT_TPGID,
	STAT_UTIME = 14, /* clock ticks */
	STAT_STIME,
	STAT_NICE = 19,
	STAT_THREADS,
	STAT_START = 22, /* clock ticks since boot */
	STAT_VSIZE,	 /* bytes */
	STAT_RSS,	 /* pages */
	STAT_N
};

struct process {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	char name[64];
	char state;
	long long stat[STAT_N];
	char command[4096]; /* its words with blanks between; "" for a zombie or kernel thread */
};

/*
 * Read what /proc has of @pid. Control characters become "?": they are the container's.
 * Returns 0; -ESRCH when it is gone.
 * Source: proc(5).
 */
int process_read(pid_t pid, struct process *ret);

/* "pts/3", "?" for none. */
void process_print_tty(const struct process *p, char *buf, size_t size);

/* "00:01:02", the processor time. */
void process_print_time(const struct process *p, char *buf, size_t size);

/* Its words, or "[name]", with " <defunct>" behind that of a zombie. */
void process_print_command(const struct process *p, char *buf, size_t size);

#endif
