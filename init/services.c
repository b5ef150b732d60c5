/* The table of services: read from files, looked up, reported on. Its interface is service.h. */
#include "init/service.h"

#include "init/cgroup.h"
#include "init/cmdline.h"
#include "init/options.h"
#include "init/order.h"
#include "init/shutdown.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

static struct service services[SERVICES_MAX];
static unsigned count;
static bool broken; /* a service file could not be used */

unsigned service_count(void)
{
	return count;
}

struct service *service_at(unsigned index)
{
	return &services[index];
}

unsigned service_index(const struct service *svc)
{
	return (unsigned)(svc - services);
}

struct service *service_find(const char *name)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(services[i].cfg.name, name) == 0)
			return &services[i];
	return NULL;
}

static void load(int dirfd, const char *name)
{
	static char text[SERVICE_FILE_BYTES_MAX + 1];
	struct service *svc = &services[count];
	struct err e = {0};
	ssize_t len = io_read_file_at(dirfd, name, text, sizeof(text));

	if (len < 0) {
		log_error("%s: %s", name,
			len == -EFBIG ? "longer than a service file may be" : strerror((int)-len));
		broken = true;
		return;
	}
	if (count == SERVICES_MAX) {
		log_error("%s: more than %d services", name, SERVICES_MAX);
		broken = true;
		return;
	}
	if (config_parse(name, text, (size_t)len, &svc->cfg, &e) < 0) {
		log_error("%s", e.msg);
		broken = true;
		return;
	}
	svc->pidfd = svc->step_pidfd = svc->setup = svc->notify = -1;
	svc->deadline_ms = UINT64_MAX;
	svc->wanted =
		svc->cfg.condition[0] == '\0' || cmdline_has(options.cmdline, svc->cfg.condition);
	/* one that is not wanted keeps nobody waiting */
	svc->settled = !svc->wanted;
	if (!svc->wanted)
		snprintf(svc->what, sizeof(svc->what),
			"the kernel's command line does not ask for it");
	count++;
}

/* In the order of names, so that every boot is the same: the next name above the last one. */
static bool next_name(int dirfd, char *name, size_t size)
{
	/* getdents64 itself: opendir() allocates */
	static char buf[4096] __attribute__((aligned(8)));
	char best[256] = "";
	long n;

	if (lseek(dirfd, 0, SEEK_SET) < 0)
		return false;
	while ((n = syscall(SYS_getdents64, dirfd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent *entry = (const void *)(buf + at);

			at += entry->d_reclen;
			if (entry->d_name[0] == '.' || strcmp(entry->d_name, name) <= 0)
				continue;
			if (best[0] == '\0' || strcmp(entry->d_name, best) < 0)
				snprintf(best, sizeof(best), "%s", entry->d_name);
		}
	}
	snprintf(name, size, "%s", best);
	return best[0] != '\0';
}

void service_load_all(void)
{
	AUTO_CLOSE int dirfd = open(options.services_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t memory_min = 0;
	char name[256] = "";

	if (dirfd < 0) {
		log_error("services: open %s: %s", options.services_dir, strerror(errno));
		broken = true;
		return;
	}
	while (next_name(dirfd, name, sizeof(name)))
		load(dirfd, name);
	for (unsigned i = 0; i < count; i++)
		memory_min += services[i].cfg.memory_min;
	cgroup_protect_services(memory_min);
	order_check();
}

void service_report(void)
{
	static bool ready, told;
	char missing[512] = "";
	size_t len = 0;

	if (ready || shutdown_running())
		return;
	for (unsigned i = 0; i < count; i++) {
		const struct service *svc = &services[i];

		if (!svc->wanted && svc->state != SVC_FAILED)
			continue;
		if (!svc->settled)
			return;
		if (svc->state == SVC_UP || svc->state == SVC_DONE)
			continue;
		if (len < sizeof(missing))
			len += (size_t)snprintf(missing + len, sizeof(missing) - len, "%s%s",
				len ? ", " : "", svc->cfg.name);
	}
	if (len == 0 && !broken) {
		ready = true;
		log_info("ready");
	} else if (!told) {
		told = true;
		log_warn("not ready: %s", len ? missing : "a service file is not usable");
	}
}
