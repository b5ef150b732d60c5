#include "init/loop.h"

#include "lib/base/log.h"
#include "lib/base/time.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_TURN 32

static int epoll_fd = -1;
static int timer_fd = -1;
static uint64_t armed_ms = UINT64_MAX;
static void (*handlers[LOOP_KINDS])(unsigned index);

static void on_timer(unsigned index)
{
	uint64_t expirations;

	(void)index;
	armed_ms = UINT64_MAX;
	(void)!read(timer_fd, &expirations, sizeof(expirations));
}

int loop_open(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		return -errno;
	/* not CLOCK_MONOTONIC: deadlines are in boot time, which counts a suspended machine's time
	 */
	timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer_fd < 0)
		return -errno;
	loop_on(LOOP_TIMER, on_timer);
	return loop_add(timer_fd, EPOLLIN, LOOP_TIMER, 0);
}

void loop_on(enum loop_kind kind, void (*handler)(unsigned index))
{
	handlers[kind] = handler;
}

static int control(int op, int fd, uint32_t events, enum loop_kind kind, unsigned index)
{
	struct epoll_event ev = {
		.events = events,
		.data.u64 = (uint64_t)kind << 32 | index,
	};

	return epoll_ctl(epoll_fd, op, fd, &ev) < 0 ? -errno : 0;
}

int loop_add(int fd, uint32_t events, enum loop_kind kind, unsigned index)
{
	return control(EPOLL_CTL_ADD, fd, events, kind, index);
}

int loop_change(int fd, uint32_t events, enum loop_kind kind, unsigned index)
{
	return control(EPOLL_CTL_MOD, fd, events, kind, index);
}

void loop_remove(int fd)
{
	(void)control(EPOLL_CTL_DEL, fd, 0, LOOP_KINDS, 0);
}

static void arm(uint64_t deadline_ms)
{
	struct itimerspec when = {0};

	if (deadline_ms == armed_ms)
		return;
	if (deadline_ms != UINT64_MAX) {
		/* zero would disarm */
		uint64_t ms = deadline_ms > 0 ? deadline_ms : 1;

		when.it_value.tv_sec = (time_t)(ms / 1000);
		when.it_value.tv_nsec = (long)(ms % 1000) * 1000000;
	}
	if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0)
		armed_ms = deadline_ms;
}

void loop_turn(uint64_t deadline_ms)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int n;

	arm(deadline_ms);
	n = epoll_wait(epoll_fd, events, EVENTS_PER_TURN, armed_ms == deadline_ms ? -1 : 1000);
	if (n < 0 && errno != EINTR) {
		/* Cannot happen with a good descriptor; should it, turn once a second, not all the
		 * time, and keep reaping. */
		log_error("epoll_wait: %s", strerror(errno));
		(void)poll(NULL, 0, 1000);
	}
	for (int i = 0; i < n; i++) {
		uint64_t data = events[i].data.u64;

		if (data >> 32 < LOOP_KINDS && handlers[data >> 32])
			handlers[data >> 32]((unsigned)data);
	}
}
