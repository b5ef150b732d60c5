/* events: what a container uses, and that it ran out of memory. */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"
#include "lib/util/cgfile.h"
#include "runtime/oci/stats.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

#define AUTO_HANDLE __attribute__((cleanup(handle_close)))

struct events_options {
	const char *interval;
	bool stats;
};

#define AT(member) offsetof(struct events_options, member)

static const struct option_spec events_specs[] = {
	{"interval", 0, OPTION_STR, AT(interval), "time between two lines, as 5s or 500ms"},
	{"stats", 0, OPTION_FLAG, AT(stats), "one line, and no waiting"},
};

/* The files that the kernel marks with POLLPRI when what they say has changed. */
enum { WATCH_MEMORY, WATCH_POPULATED, WATCH_TIMER, WATCH_N };

struct watch {
	const char *id;
	int cgroupfd;
	int memory;    /* memory.events; -1: no controller */
	int populated; /* cgroup.events */
	int timer;
	uint64_t kills; /* that were told */
};

static int print_event(const char *id, const char *type, int cgroupfd, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *o = yyjson_mut_obj(doc);
	char *text = NULL;
	int r = 0;

	yyjson_mut_doc_set_root(doc, o);
	yyjson_mut_obj_add_str(doc, o, "type", type);
	yyjson_mut_obj_add_str(doc, o, "id", id);
	if (cgroupfd >= 0)
		r = stats_collect(cgroupfd, doc, yyjson_mut_obj_add_obj(doc, o, "data"), e);
	if (r == 0)
		text = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, NULL);
	yyjson_mut_doc_free(doc);
	if (r == 0 && !text)
		r = err_set(e, ENOMEM, "out of memory");
	if (r == 0 && (puts(text) == EOF || fflush(stdout) == EOF))
		r = err_set(e, errno, "write the events: %s", strerror(errno));
	free(text);
	return r;
}

/* The number behind @key in a file that stays open. Returns 0 or -errno: -ENODEV when the cgroup is
 * gone. */
static int read_count(int fd, const char *key, uint64_t *ret)
{
	char text[512];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return cgfile_find(text, key, ret);
}

/* One line for the processes that were killed since the last look. */
static int tell_oom(struct watch *w, struct err *e)
{
	uint64_t kills;

	if (w->memory < 0 || read_count(w->memory, "oom_kill", &kills) < 0 || kills <= w->kills)
		return 0;
	w->kills = kills;
	return print_event(w->id, "oom", -1, e);
}

static bool is_empty(const struct watch *w)
{
	uint64_t populated;

	return read_count(w->populated, "populated", &populated) < 0 || populated == 0;
}

static int open_watch(struct watch *w, uint64_t interval_ms, struct err *e)
{
	const struct timespec interval = {.tv_sec = (time_t)(interval_ms / 1000),
		.tv_nsec = (long)(interval_ms % 1000) * 1000000};
	const struct itimerspec every = {.it_interval = interval, .it_value = interval};

	w->memory = openat(w->cgroupfd, "memory.events", O_RDONLY | O_CLOEXEC);
	w->populated = openat(w->cgroupfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (w->populated < 0)
		return err_set(e, errno, "open cgroup.events: %s", strerror(errno));
	/* What was before nobody asked for. */
	if (w->memory >= 0)
		(void)read_count(w->memory, "oom_kill", &w->kills);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (w->timer < 0 || timerfd_settime(w->timer, 0, &every, NULL) < 0)
		return err_set(e, errno, "timerfd: %s", strerror(errno));
	return 0;
}

/* Until the last process is gone. */
static int follow(struct watch *w, struct err *e)
{
	struct pollfd p[WATCH_N] = {
		[WATCH_MEMORY] = {.fd = w->memory, .events = POLLPRI},
		[WATCH_POPULATED] = {.fd = w->populated, .events = POLLPRI},
		[WATCH_TIMER] = {.fd = w->timer, .events = POLLIN},
	};

	for (;;) {
		uint64_t ticks;
		/* The kill is counted before the killed one is gone: told first, then the end. */
		bool empty = is_empty(w);
		int r = tell_oom(w, e);

		if (r < 0 || empty)
			return r;
		if (poll(p, WATCH_N, -1) < 0 && errno != EINTR)
			return err_set(e, errno, "poll: %s", strerror(errno));
		if ((p[WATCH_TIMER].revents & POLLIN) &&
			read(w->timer, &ticks, sizeof(ticks)) == sizeof(ticks)) {
			r = print_event(w->id, "stats", w->cgroupfd, e);
			if (r < 0)
				return r;
		}
	}
}

int cmd_events(const struct globals *g, char **args, struct err *e)
{
	AUTO_HANDLE struct handle h = {.rootfd = -1, .dirfd = -1};
	struct events_options opts = {.interval = "5s"};
	struct watch w = {.cgroupfd = -1, .memory = -1, .populated = -1, .timer = -1};
	uint64_t interval = 0;
	int r = options_parse_mixed(FIELDS(events_specs), args, &opts, &args, e);

	if (r == 0)
		r = args_count(args, 1, 1, "events [--stats] [--interval TIME] ID", e);
	if (r == 0 && (num_parse_ms(opts.interval, strlen(opts.interval), &interval) < 0 ||
			      interval == 0 || interval > INT_MAX))
		r = err_set(e, EINVAL,
			"--interval: expected a time above 0 as 5s or 500ms, "
			"got \"%s\"",
			opts.interval);
	if (r == 0)
		r = handle_open(&h, g, args[0], e);
	if (r == 0)
		r = handle_status(&h, e);
	if (r == STATUS_STOPPED)
		r = err_set(e, ESRCH, "container %s is not running", h.state.id);
	if (r < 0)
		return r;
	w.id = h.state.id;
	w.cgroupfd = handle_cgroup(&h);
	if (w.cgroupfd < 0)
		return err_set(e, -w.cgroupfd, "container %s has no cgroup", w.id);
	if (opts.stats)
		r = print_event(w.id, "stats", w.cgroupfd, e);
	else
		r = open_watch(&w, interval, e);
	if (r == 0 && !opts.stats)
		r = follow(&w, e);
	fd_close(&w.cgroupfd);
	fd_close(&w.memory);
	fd_close(&w.populated);
	fd_close(&w.timer);
	return r;
}
