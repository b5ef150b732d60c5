#include "runtime/cli/services.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/time.h"
#include "runtime/cli/client.h"
#include "runtime/cli/command.h"
#include "runtime/cli/format.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_OK = 0 };

static int fail(const struct err *e)
{
	fprintf(stderr, "sampan: %s\n", e->msg);
	return EXIT_FAILED;
}

static void put_row(const char *name, const char *state, const char *pid, const char *since,
	const char *restarts, const char *what)
{
	printf("%-16s %-10s %7s %9s %8s  %s\n", name, state, pid, since, restarts, what);
}

static void put_service(const struct init_service_info *s)
{
	uint64_t now = time_now_ms();
	char pid[16] = "-", since[32] = "-", restarts[16];

	if (s->pid > 0)
		snprintf(pid, sizeof(pid), "%d", s->pid);
	if (s->since_ms > 0 && s->since_ms <= now)
		format_duration(now - s->since_ms, since, sizeof(since));
	snprintf(restarts, sizeof(restarts), "%u", s->restarts);
	put_row(s->h.id, s->state, pid, since, restarts, s->what);
}

static void put_adopted(const struct init_exit *a)
{
	char pid[16], since[32] = "-", what[64] = "adopted";
	uint64_t now = time_now_ms();

	snprintf(pid, sizeof(pid), "%d", a->pid);
	if (a->code == 0) {
		put_row(a->h.id, "up", pid, since, "-", what);
		return;
	}
	if (a->when_ms <= now)
		format_duration(now - a->when_ms, since, sizeof(since));
	snprintf(what, sizeof(what), "adopted, %s %d",
		a->code == CLD_EXITED ? "exited with status" : "killed by signal", a->status);
	put_row(a->h.id, "ended", "-", since, "-", what);
}

/* Ask for entry 0, 1, … until there are no more. */
static int list(int fd, uint32_t request, struct err *e)
{
	struct init_index msg;
	union init_answer answer;
	int r;

	for (uint32_t i = 0;; i++) {
		init_msg_begin(&msg, request, NULL);
		msg.index = i;
		r = client_ask(fd, &msg, &answer, e);
		if (r < 0)
			return r;
		if (answer.h.type == INIT_SERVICE_INFO)
			put_service(&answer.service);
		else if (answer.h.type == INIT_ADOPTED_INFO)
			put_adopted(&answer.exit);
		else
			return 0;
	}
}

static int status_run(void *options, int argc, char **argv)
{
	struct err e = {0};
	AUTO_CLOSE int fd = client_connect(&e);
	int r = fd;

	(void)options;
	if (r < 0)
		return fail(&e);
	put_row("NAME", "STATE", "PID", "SINCE", "RESTARTS", "WHAT");
	for (int i = 1; i < argc && r >= 0; i++) {
		struct init_index msg;
		union init_answer answer;

		init_msg_begin(&msg, INIT_STATUS, argv[i]);
		r = client_ask(fd, &msg, &answer, &e);
		if (r >= 0)
			put_service(&answer.service);
	}
	if (argc == 1)
		r = list(fd, INIT_STATUS, &e);
	if (argc == 1 && r >= 0)
		r = list(fd, INIT_ADOPTED, &e);
	(void)fflush(stdout);
	return r < 0 ? fail(&e) : EXIT_OK;
}

/* One request per name, each answered when it is done. */
static int for_each(int argc, char **argv, uint32_t request)
{
	struct err e = {0};
	AUTO_CLOSE int fd = -1;
	int status = EXIT_OK;

	fd = client_connect(&e);
	if (fd < 0)
		return fail(&e);
	for (int i = 1; i < argc; i++) {
		struct init_header msg;
		union init_answer answer;

		init_msg_begin(&msg, request, argv[i]);
		if (client_ask(fd, &msg, &answer, &e) < 0)
			status = fail(&e);
	}
	return status;
}

int services_start(int argc, char **argv)
{
	return for_each(argc, argv, INIT_START);
}

int services_stop(int argc, char **argv)
{
	return for_each(argc, argv, INIT_STOP);
}

int services_restart(int argc, char **argv)
{
	return for_each(argc, argv, INIT_RESTART);
}

/*
 * Print what the log holds, then, if asked, what is added.
 * The first bytes may be the end of a line whose start is gone already: they are left out.
 */
static int print_log(int fd, const char *name, bool follow, struct err *e)
{
	struct init_logs msg;
	union init_answer answer;
	uint64_t cursor = 0;

	for (;;) {
		const char *data = answer.log.data;
		size_t len;
		int r;

		init_msg_begin(&msg, INIT_LOGS, name);
		msg.cursor = cursor;
		msg.follow = follow;
		r = client_ask(fd, &msg, &answer, e);
		if (r < 0)
			return r;
		len = answer.log.len;
		if (answer.h.type != INIT_LOG_DATA || len > sizeof(answer.log.data))
			return err_set(e, EPROTO, "init's answer is not understood");
		if (len == 0)
			return 0;
		if (answer.log.cursor - len != cursor) {
			const char *newline = memchr(data, '\n', len);

			if (newline) {
				len -= (size_t)(newline + 1 - data);
				data = newline + 1;
			}
		}
		cursor = answer.log.cursor;
		r = io_write_all(1, data, len);
		if (r < 0)
			return err_set(e, -r, "write: %s", strerror(-r));
	}
}

int services_logs(const char *name, bool follow)
{
	struct err e = {0};
	AUTO_CLOSE int fd = client_connect(&e);

	if (fd < 0 || print_log(fd, name, follow, &e) < 0)
		return fail(&e);
	return EXIT_OK;
}

int services_know(const char *name)
{
	struct err e = {0};
	AUTO_CLOSE int fd = client_connect(&e);
	struct init_index msg;
	union init_answer answer;
	int r = fd;

	/* init's own log has its name */
	if (fd >= 0 && strcmp(name, "init") == 0)
		return 1;
	init_msg_begin(&msg, INIT_STATUS, name);
	if (fd >= 0)
		r = client_ask(fd, &msg, &answer, &e);
	return r < 0 ? -e.code : 1;
}

static int shut_down(enum init_shutdown_how how)
{
	struct err e = {0};
	AUTO_CLOSE int fd = -1;
	struct init_shutdown msg;
	union init_answer answer;

	fd = client_connect(&e);
	if (fd < 0)
		return fail(&e);
	init_msg_begin(&msg, INIT_SHUTDOWN, NULL);
	msg.how = how;
	return client_ask(fd, &msg, &answer, &e) < 0 ? fail(&e) : EXIT_OK;
}

static int reboot_run(void *options, int argc, char **argv)
{
	(void)options, (void)argc, (void)argv;
	return shut_down(INIT_REBOOT);
}

static int poweroff_run(void *options, int argc, char **argv)
{
	(void)options, (void)argc, (void)argv;
	return shut_down(INIT_POWEROFF);
}

const struct command cmd_status = {"status", "[NAME]...", "show services and adopted containers",
	{0}, 0, 0, -1, status_run, NULL};
const struct command cmd_reboot = {
	"reboot", "", "stop everything and restart the machine", {0}, 0, 0, 0, reboot_run, NULL};
const struct command cmd_poweroff = {"poweroff", "", "stop everything and switch the machine off",
	{0}, 0, 0, 0, poweroff_run, NULL};
