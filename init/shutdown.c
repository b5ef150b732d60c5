#include "init/shutdown.h"

#include "init/adopt.h"
#include "init/cgroup.h"
#include "init/children.h"
#include "init/cmdline.h"
#include "init/options.h"
#include "init/order.h"
#include "init/unmount.h"
#include "init/watchdog.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/base/time.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>

enum stage { RUNNING, SERVICES, ADOPTED, KILL, UNMOUNT, END };

static enum stage stage;
static enum init_shutdown_how how;
static uint64_t hard_ms;	       /* for everything before UNMOUNT */
static uint64_t stage_ms = UINT64_MAX; /* for this stage */
static pid_t helper;		       /* unmounts, then ends the machine */

bool shutdown_running(void)
{
	return stage != RUNNING;
}

uint64_t shutdown_deadline(void)
{
	return stage_ms;
}

static void enter(enum stage next, uint64_t timeout_ms)
{
	uint64_t limit = time_now_ms() + timeout_ms;

	stage = next;
	stage_ms = next <= ADOPTED && limit > hard_ms ? hard_ms : limit;
}

void shutdown_begin(enum init_shutdown_how asked, const char *why)
{
	static const char *const words[] = {
		[INIT_POWEROFF] = "power off",
		[INIT_REBOOT] = "reboot",
		[INIT_HALT] = "halt",
	};
	uint64_t timeout_ms;

	if (stage != RUNNING)
		return;
	how = asked;
	log_info("%s: %s", words[how], why);
	timeout_ms = cmdline_ms(options.cmdline, "sampan.shutdown-timeout", SHUTDOWN_MS);
	hard_ms = time_now_ms() + timeout_ms;
	enter(SERVICES, timeout_ms);
}

/* Stop what nothing needs any more. Returns whether all are down. */
static bool stop_services(void)
{
	bool all = true;

	for (unsigned i = 0; i < service_count(); i++) {
		struct service *svc = service_at(i);

		if (!service_is_active(svc))
			continue;
		all = false;
		if (svc->state == SVC_WAITING || svc->state == SVC_BACKOFF || !order_is_needed(svc))
			service_stop(svc);
	}
	return all;
}

static void name_late_services(void)
{
	for (unsigned i = 0; i < service_count(); i++)
		if (service_is_active(service_at(i)))
			log_warn("%s: still %s at the shutdown's deadline", service_at(i)->cfg.name,
				service_state_name(service_at(i)->state));
}

static void kill_all(void)
{
	(void)cgroup_kill(CGROUP_CONTAINERS, NULL);
	(void)cgroup_kill(CGROUP_SERVICES, NULL);
	(void)adopt_signal_all(SIGKILL);
	if (!options.subreaper)
		(void)kill(-1, SIGKILL);
	for (unsigned i = 0; i < service_count(); i++)
		if (service_at(i)->pid > 0)
			(void)kill(-service_at(i)->pid, SIGKILL);
}

/* In a child: what PID 1 must not do itself, because a broken disk may hold it up for ever. */
static int end_of_mounts(const void *arg, const char **ret_step)
{
	(void)arg;
	(void)ret_step;
	sync();
	unmount_all();
	sync();
	return 0;
}

/* In a child, because the kernel ends the process that asks for a halt, and PID 1 must not end. */
static int end_of_machine(const void *arg, const char **ret_step)
{
	static const int commands[] = {
		[INIT_POWEROFF] = RB_POWER_OFF,
		[INIT_REBOOT] = RB_AUTOBOOT,
		[INIT_HALT] = RB_HALT_SYSTEM,
	};

	*ret_step = "reboot";
	(void)arg;
	return reboot(commands[how]) < 0 ? errno : 0;
}

static int run_helper(int (*what)(const void *arg, const char **ret_step))
{
	struct spawn s = {.output = -1, .notify = -1, .cgroup = -1, .prepare = what};
	struct spawned child = {.pidfd = -1, .setup = -1};
	int r = spawn_process(&s, &child);

	if (r < 0) {
		log_error("shutdown: cannot start a child: %s", strerror(-r));
		return r;
	}
	helper = child.pid;
	fd_close(&child.pidfd);
	fd_close(&child.setup);
	return 0;
}

static void end(void)
{
	static const int statuses[] = {
		[INIT_POWEROFF] = SHUTDOWN_EXIT_POWEROFF,
		[INIT_REBOOT] = SHUTDOWN_EXIT_REBOOT,
		[INIT_HALT] = SHUTDOWN_EXIT_HALT,
	};

	log_info("down");
	if (options.subreaper)
		_exit(statuses[how]);
	/* A reboot that hangs is the watchdog's; a machine that is to stay off must not be reset.
	 */
	if (how != INIT_REBOOT)
		watchdog_disarm();
	enter(END, RETRY_MS);
	if (run_helper(end_of_machine) < 0)
		(void)reboot(how == INIT_REBOOT ? RB_AUTOBOOT : RB_POWER_OFF);
}

void shutdown_reap(pid_t pid)
{
	if (pid == helper)
		helper = 0;
}

static void tick_unmount(bool late)
{
	if (helper > 0 && !late)
		return;
	if (late)
		log_error("shutdown: unmounting takes too long; going on without");
	end();
}

static void tick_kill(bool late)
{
	if (!children_none() && !late)
		return;
	if (late)
		log_warn("shutdown: some processes do not die");
	if (options.subreaper) {
		end();
		return;
	}
	enter(UNMOUNT, UNMOUNT_MS);
	/* without a child there is no time to lose: memory comes back when the machine does */
	if (run_helper(end_of_mounts) < 0)
		end();
}

static void tick_services(bool late)
{
	if (!stop_services() && !late)
		return;
	if (late)
		name_late_services();
	enter(ADOPTED, ADOPTED_STOP_MS);
	(void)adopt_signal_all(SIGTERM);
}

static void tick_adopted(bool late)
{
	if (adopt_signal_all(0) > 0 && !late)
		return;
	enter(KILL, KILL_ALL_MS);
	kill_all();
}

static void tick_end(bool late)
{
	if (late)
		end();
}

void shutdown_tick(uint64_t now_ms)
{
	static void (*const ticks[])(bool late) = {
		[SERVICES] = tick_services,
		[ADOPTED] = tick_adopted,
		[KILL] = tick_kill,
		[UNMOUNT] = tick_unmount,
		[END] = tick_end,
	};
	enum stage before;

	/* as far as it goes: nothing else may happen that would call this again */
	do {
		before = stage;
		if (stage != RUNNING)
			ticks[stage](now_ms >= stage_ms);
		now_ms = time_now_ms();
	} while (stage != before);
}
