/* The columns of ps, each as procps prints it. */
#include "lib/util/process.h"
#include "runtime/engine/top.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PRINTER(name)                                                                              \
	static void name(                                                                          \
		const struct process *p, const struct top_machine *m, char *buf, size_t size)

/* By the machine's accounts, as dockerd's ps has it. */
PRINTER(print_user)
{
	struct passwd entry;
	struct passwd *found = NULL;
	char room[1024];

	(void)m;
	if (getpwuid_r(p->uid, &entry, room, sizeof(room), &found) == 0 && found)
		snprintf(buf, size, "%s", found->pw_name);
	else
		snprintf(buf, size, "%u", p->uid);
}

PRINTER(print_uid)
{
	(void)m;
	snprintf(buf, size, "%u", p->uid);
}

PRINTER(print_gid)
{
	(void)m;
	snprintf(buf, size, "%u", p->gid);
}

PRINTER(print_pid)
{
	(void)m;
	snprintf(buf, size, "%d", p->pid);
}

PRINTER(print_state)
{
	(void)m;
	snprintf(buf, size, "%c", p->state);
}

PRINTER(print_stat)
{
	long long nice = p->stat[STAT_NICE];
	bool front = p->stat[STAT_TPGID] == p->stat[STAT_PGRP];

	(void)m;
	snprintf(buf, size, "%c%s%s%s%s", p->state,
		nice < 0   ? "<"
		: nice > 0 ? "N"
			   : "",
		p->stat[STAT_SESSION] == p->pid ? "s" : "", p->stat[STAT_THREADS] > 1 ? "l" : "",
		front ? "+" : "");
}

PRINTER(print_tty)
{
	(void)m;
	process_print_tty(p, buf, size);
}

PRINTER(print_time)
{
	(void)m;
	process_print_time(p, buf, size);
}

static long long cpu_ticks(const struct process *p)
{
	return p->stat[STAT_UTIME] + p->stat[STAT_STIME];
}

static long long start_s(const struct process *p, const struct top_machine *m)
{
	return m->boot_s + p->stat[STAT_START] / m->ticks;
}

static long long age_s(const struct process *p, const struct top_machine *m)
{
	long long age = m->now_s - start_s(p, m);

	return age > 0 ? age : 0;
}

/* BSD's "12:03". */
PRINTER(print_bsd_time)
{
	long long s = cpu_ticks(p) / m->ticks;

	snprintf(buf, size, "%lld:%02lld", s / 60, s % 60);
}

/* In thousandths of one processor over its whole life. */
static long long cpu_share(const struct process *p, const struct top_machine *m)
{
	long long age = age_s(p, m);

	return age ? cpu_ticks(p) * 1000 / m->ticks / age : 0;
}

PRINTER(print_c)
{
	long long percent = cpu_share(p, m) / 10;

	snprintf(buf, size, "%lld", percent > 99 ? 99 : percent);
}

PRINTER(print_pcpu)
{
	long long share = cpu_share(p, m);

	if (share > 999)
		snprintf(buf, size, "%lld", share / 10);
	else
		snprintf(buf, size, "%lld.%lld", share / 10, share % 10);
}

PRINTER(print_pmem)
{
	long long share = p->stat[STAT_RSS] * m->page * 1000 / m->memory;

	snprintf(buf, size, "%lld.%lld", share / 10, share % 10);
}

PRINTER(print_rss)
{
	snprintf(buf, size, "%lld", p->stat[STAT_RSS] * m->page / 1024);
}

PRINTER(print_vsz)
{
	(void)m;
	snprintf(buf, size, "%lld", p->stat[STAT_VSIZE] / 1024);
}

/* The hour of a day old at most, then the day, then the year. */
PRINTER(print_stime)
{
	time_t started = (time_t)start_s(p, m);
	time_t now = (time_t)m->now_s;
	struct tm then, today;

	if (!localtime_r(&started, &then) || !localtime_r(&now, &today))
		snprintf(buf, size, "-");
	else if (then.tm_year != today.tm_year)
		strftime(buf, size, "%Y", &then);
	else
		strftime(buf, size, then.tm_yday == today.tm_yday ? "%H:%M" : "%b%d", &then);
}

PRINTER(print_etimes)
{
	snprintf(buf, size, "%lld", age_s(p, m));
}

/* [[days-]hours:]minutes:seconds */
PRINTER(print_etime)
{
	long long s = age_s(p, m);

	if (s >= 86400)
		snprintf(buf, size, "%lld-%02lld:%02lld:%02lld", s / 86400, s / 3600 % 24,
			s / 60 % 60, s % 60);
	else if (s >= 3600)
		snprintf(buf, size, "%02lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(buf, size, "%02lld:%02lld", s / 60, s % 60);
}

PRINTER(print_name)
{
	(void)m;
	snprintf(buf, size, "%s%s", p->name, p->state == 'Z' ? " <defunct>" : "");
}

PRINTER(print_command)
{
	(void)m;
	process_print_command(p, buf, size);
}

static const struct top_column columns[] = {
	{"user", "USER", print_user, 0},
	{"euser", "EUSER", print_user, 0},
	{"uname", "USER", print_user, 0},
	{"uid", "UID", print_uid, 0},
	{"euid", "EUID", print_uid, 0},
	{"gid", "GID", print_gid, 0},
	{"egid", "EGID", print_gid, 0},
	{"pid", "PID", print_pid, 0},
	{"ppid", "PPID", NULL, STAT_PPID},
	{"pgid", "PGID", NULL, STAT_PGRP},
	{"pgrp", "PGRP", NULL, STAT_PGRP},
	{"sid", "SID", NULL, STAT_SESSION},
	{"sess", "SESS", NULL, STAT_SESSION},
	{"tpgid", "TPGID", NULL, STAT_TPGID},
	{"s", "S", print_state, 0},
	{"state", "S", print_state, 0},
	{"stat", "STAT", print_stat, 0},
	{"tty", "TT", print_tty, 0},
	{"tt", "TT", print_tty, 0},
	{"tname", "TTY", print_tty, 0},
	{"ni", "NI", NULL, STAT_NICE},
	{"nice", "NI", NULL, STAT_NICE},
	{"nlwp", "NLWP", NULL, STAT_THREADS},
	{"thcount", "THCNT", NULL, STAT_THREADS},
	{"c", "C", print_c, 0},
	{"pcpu", "%CPU", print_pcpu, 0},
	{"%cpu", "%CPU", print_pcpu, 0},
	{"pmem", "%MEM", print_pmem, 0},
	{"%mem", "%MEM", print_pmem, 0},
	{"vsz", "VSZ", print_vsz, 0},
	{"vsize", "VSZ", print_vsz, 0},
	{"rss", "RSS", print_rss, 0},
	{"rssize", "RSS", print_rss, 0},
	{"stime", "STIME", print_stime, 0},
	{"start_time", "START", print_stime, 0},
	{"time", "TIME", print_time, 0},
	{"cputime", "TIME", print_time, 0},
	{"bsdtime", "TIME", print_bsd_time, 0},
	{"etime", "ELAPSED", print_etime, 0},
	{"etimes", "ELAPSED", print_etimes, 0},
	{"comm", "COMMAND", print_name, 0},
	{"ucmd", "CMD", print_name, 0},
	{"args", "COMMAND", print_command, 0},
	{"command", "COMMAND", print_command, 0},
	{"cmd", "CMD", print_command, 0},
};

/* The columns that stand for a whole format; a user's list may hold none of these. */
static const struct top_column full_user = {"", "UID", print_user, 0};

static int add_column(
	const char *word, size_t len, const struct top_column **ret, int n, struct err *e)
{
	if (n == TOP_COLUMNS_MAX)
		return err_set(e, EINVAL, "ps: more than %d columns", TOP_COLUMNS_MAX);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		if (strlen(columns[i].name) == len && strncmp(columns[i].name, word, len) == 0) {
			ret[n] = &columns[i];
			return n + 1;
		}
	}
	return err_set(e, EINVAL, "ps: unknown column \"%.*s\"", len > 64 ? 64 : (int)len, word);
}

/* @list up to a blank. Returns how many columns there are now. */
static int add_list(const char *list, const struct top_column **ret, int n, struct err *e)
{
	while (n >= 0 && *list && *list != ' ') {
		size_t len = strcspn(list, ", ");

		n = add_column(list, len, ret, n, e);
		list += len + (list[len] == ',');
	}
	return n;
}

/* Words of ps that choose a format. All that choose processes but this container's are none. */
static const struct {
	const char *word;
	const char *list; /* NULL: the next word has it; "": it changes nothing */
	bool user_as_uid; /* -f: the first column is a name under the title of a number */
} formats[] = {
	{"-ef", "ppid,c,stime,tname,time,cmd", true},
	{"-fe", "ppid,c,stime,tname,time,cmd", true},
	{"-f", "ppid,c,stime,tname,time,cmd", true},
	{"aux", "user,pid,pcpu,pmem,vsz,rss,tname,stat,start_time,bsdtime,command", false},
	{"-aux", "user,pid,pcpu,pmem,vsz,rss,tname,stat,start_time,bsdtime,command", false},
	{"u", "user,pid,pcpu,pmem,vsz,rss,tname,stat,start_time,bsdtime,command", false},
	{"-o", NULL, false},
	{"-eo", NULL, false},
	{"-Ao", NULL, false},
	{"o", NULL, false},
	{"axo", NULL, false},
	{"-e", "", false},
	{"-A", "", false},
	{"ax", "", false},
};

int top_columns(
	const char *ps_args, const struct top_column *ret[static TOP_COLUMNS_MAX], struct err *e)
{
	const char *at = ps_args;
	int n = 0;

	while (n >= 0 && *(at += strspn(at, " "))) {
		size_t len = strcspn(at, " ");
		size_t i = 0;

		while (i < sizeof(formats) / sizeof(formats[0]) &&
			(strlen(formats[i].word) != len || strncmp(formats[i].word, at, len) != 0))
			i++;
		if (i == sizeof(formats) / sizeof(formats[0]))
			return err_set(e, EINVAL,
				"ps: unknown option \"%.*s\": expected -ef, aux or -o COLUMN,…",
				len > 64 ? 64 : (int)len, at);
		at += len;
		if (formats[i].user_as_uid && n < TOP_COLUMNS_MAX) {
			ret[n++] = &full_user;
			n = add_list("pid", ret, n, e);
		}
		if (!formats[i].list) {
			at += strspn(at, " ");
			if (!*at)
				return err_set(e, EINVAL, "ps: -o: no columns are named");
			n = add_list(at, ret, n, e);
			at += strcspn(at, " ");
		} else if (n >= 0) {
			n = add_list(formats[i].list, ret, n, e);
		}
	}
	if (n == 0)
		n = add_list("pid,tname,time,ucmd", ret, n, e);
	return n;
}
