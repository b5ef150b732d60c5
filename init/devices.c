#include "init/devices.h"

#include "init/limits.h"
#include "init/loop.h"
#include "init/options.h"
#include "init/shutdown.h"
#include "init/watchdog.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

/* input devices looked at: event0 … */
#define INPUT_DEVICES_MAX 64

static struct {
	int fd; /* 0: free */
	int number;
	bool ctrl, alt; /* held down */
} buttons[BUTTONS_MAX];
static int notify_fd = -1;
static int input_watch = -1;

/* A power button, or a keyboard: the kernel itself knows Ctrl-Alt-Del only on a virtual terminal,
 * which our kernels do not have. */
static bool has_our_keys(int fd)
{
	unsigned char bits[KEY_MAX / 8 + 1] = {0};

	if (ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(bits)), bits) < 0)
		return false;
	return (bits[KEY_POWER / 8] >> KEY_POWER % 8 & 1) ||
	       (bits[KEY_DELETE / 8] >> KEY_DELETE % 8 & 1);
}

static void try_button(int number)
{
	char path[32];
	AUTO_CLOSE int fd = -1;
	unsigned slot = BUTTONS_MAX;

	for (unsigned i = 0; i < BUTTONS_MAX; i++) {
		if (buttons[i].fd > 0 && buttons[i].number == number)
			return;
		if (buttons[i].fd <= 0 && slot == BUTTONS_MAX)
			slot = i;
	}
	snprintf(path, sizeof(path), "/dev/input/event%d", number);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || !has_our_keys(fd) || slot == BUTTONS_MAX)
		return;
	if (loop_add(fd, EPOLLIN, LOOP_BUTTON, slot) < 0)
		return;
	buttons[slot].number = number;
	buttons[slot].ctrl = buttons[slot].alt = false;
	buttons[slot].fd = TAKE_FD(fd);
}

static void scan(void)
{
	watchdog_open();
	if (input_watch < 0)
		input_watch = inotify_add_watch(notify_fd, "/dev/input", IN_CREATE | IN_ATTRIB);
	for (int i = 0; i < INPUT_DEVICES_MAX; i++)
		try_button(i);
}

static void on_key(unsigned index, unsigned key, bool down)
{
	switch (key) {
	case KEY_POWER:
		if (down)
			shutdown_begin(INIT_POWEROFF, "power button");
		break;
	case KEY_LEFTCTRL:
	case KEY_RIGHTCTRL:
		buttons[index].ctrl = down;
		break;
	case KEY_LEFTALT:
	case KEY_RIGHTALT:
		buttons[index].alt = down;
		break;
	case KEY_DELETE:
	case KEY_KPDOT:
		if (down && buttons[index].ctrl && buttons[index].alt)
			shutdown_begin(INIT_REBOOT, "Ctrl-Alt-Del");
		break;
	default:
		break;
	}
}

static void on_button(unsigned index)
{
	struct input_event events[16];
	ssize_t n = buttons[index].fd > 0 ? read(buttons[index].fd, events, sizeof(events)) : 0;

	if (n < 0 && errno != EAGAIN) {
		/* unplugged */
		loop_remove(buttons[index].fd);
		fd_close(&buttons[index].fd);
		buttons[index].fd = 0;
	}
	for (ssize_t i = 0; (i + 1) * (ssize_t)sizeof(events[0]) <= n; i++)
		if (events[i].type == EV_KEY)
			on_key(index, events[i].code, events[i].value != 0);
}

static void on_devices(unsigned index)
{
	char buf[4096];

	(void)index;
	while (read(notify_fd, buf, sizeof(buf)) > 0)
		;
	scan();
}

void devices_open(void)
{
	if (options.subreaper)
		return;
	loop_on(LOOP_BUTTON, on_button);
	loop_on(LOOP_DEVICES, on_devices);
	notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (notify_fd < 0 || inotify_add_watch(notify_fd, "/dev", IN_CREATE) < 0 ||
		loop_add(notify_fd, EPOLLIN, LOOP_DEVICES, 0) < 0)
		log_error("cannot watch /dev: %s", strerror(errno));
	scan();
}
