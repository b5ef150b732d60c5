/* Statistics of one container: once, or a line a second until the client leaves. */
#include "runtime/api/routes.h"
#include "runtime/api/usage.h"

#include "lib/base/fd.h"
#include "lib/util/cgfile.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/spec.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

/* milliseconds from one line to the next; Docker's */
#define INTERVAL_MS 1000

/* What the sample before this one said. */
struct previous {
	char read[40];
	yyjson_mut_doc *doc; /* its cpu_stats; NULL: none */
};

static int open_cgroup(const struct container *one)
{
	AUTO_CLOSE int root = cgroup_open_root();
	char path[CONTAINER_ID_BYTES + 16];

	(void)snprintf(path, sizeof(path), "containers/%s", one->id);
	return root < 0 ? -1 : openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static uint64_t machine_memory(void)
{
	struct sysinfo si = {0};

	(void)sysinfo(&si);
	return (uint64_t)si.totalram * si.mem_unit;
}

/* Keep @cpu for the next sample. */
static void remember(struct previous *prev, const char *read, yyjson_mut_val *cpu)
{
	yyjson_mut_doc_free(prev->doc);
	prev->doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_doc_set_root(prev->doc, yyjson_mut_val_mut_copy(prev->doc, cpu));
	(void)snprintf(prev->read, sizeof(prev->read), "%s", read);
}

/* One sample, of zeros when it does not run. */
static yyjson_mut_doc *sample(struct call *c, const struct container *one, struct previous *prev)
{
	static const char never[] = "0001-01-01T00:00:00Z";
	struct container_state s = container_state(c->engine, one);
	bool runs = container_runs(&s);
	bool own_net = strcmp(spec_str(container_host_config(one), "NetworkMode"), "host") != 0;
	AUTO_CLOSE int cgroup = runs ? open_cgroup(one) : -1;
	AUTO_CLOSE int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int process = -1;
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *cpu, *networks;
	char text[300];
	char now[40];

	time_print(realtime_ns(), now, sizeof(now));
	(void)snprintf(text, sizeof(text), "%d", s.pid);
	if (runs && own_net && proc >= 0)
		process = openat(proc, text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	yyjson_mut_doc_set_root(doc, top);
	(void)snprintf(text, sizeof(text), "/%s", one->name);
	yyjson_mut_obj_add_strcpy(doc, top, "name", text);
	yyjson_mut_obj_add_strcpy(doc, top, "id", one->id);
	yyjson_mut_obj_add_strcpy(doc, top, "read", runs ? now : never);
	yyjson_mut_obj_add_strcpy(doc, top, "preread", runs && prev->doc ? prev->read : never);
	yyjson_mut_obj_add_val(doc, top, "pids_stats", usage_pids(doc, cgroup));
	yyjson_mut_obj_add_val(doc, top, "blkio_stats", usage_blkio(doc, cgroup));
	yyjson_mut_obj_add_int(doc, top, "num_procs", 0);
	yyjson_mut_obj_add_val(doc, top, "storage_stats", yyjson_mut_obj(doc));
	cpu = usage_cpu(doc, cgroup, proc);
	yyjson_mut_obj_add_val(doc, top, "cpu_stats", cpu);
	yyjson_mut_obj_add_val(doc, top, "precpu_stats",
		runs && prev->doc ? yyjson_mut_val_mut_copy(doc, yyjson_mut_doc_get_root(prev->doc))
				  : usage_cpu(doc, -1, -1));
	yyjson_mut_obj_add_val(
		doc, top, "memory_stats", usage_memory(doc, cgroup, machine_memory()));
	networks = usage_networks(doc, process);
	if (networks)
		yyjson_mut_obj_add_val(doc, top, "networks", networks);
	if (runs)
		remember(prev, now, cpu);
	return doc;
}

/* Wait for the next line's time; false when the client leaves meanwhile. */
static bool pause_once(struct call *c)
{
	struct pollfd p = {.fd = c->conn->fd, .events = POLLRDHUP};

	return poll(&p, 1, INTERVAL_MS) == 0 || !http_peer_gone(c->conn);
}

static int stream(struct call *c, struct container *one, struct previous *prev)
{
	int r = http_stream_begin(c->conn, 200, "application/json");

	while (r == 0 && !__atomic_load_n(&one->removed, __ATOMIC_RELAXED)) {
		r = call_stream_json(c, sample(c, one, prev));
		if (r == 0 && !pause_once(c))
			break;
	}
	(void)http_stream_end(c->conn);
	return 0;
}

int api_container_stats(struct call *c, struct err *e)
{
	bool streaming = query_bool(&c->query, "stream", true);
	bool one_shot = c->minor >= 41 && query_bool(&c->query, "one-shot", false);
	struct previous prev = {0};
	struct container_state s;
	struct container *one;
	int r;

	if (streaming && one_shot)
		return err_set(e, EINVAL, "cannot have stream=true and one-shot=true");
	r = container_get(c->engine, c->params[0], &one, e);
	if (r < 0)
		return r;
	s = container_state(c->engine, one);
	if (streaming) {
		r = stream(c, one, &prev);
	} else {
		/* Two samples, so that a client can tell how busy it is. */
		if (!one_shot && container_runs(&s)) {
			yyjson_mut_doc_free(sample(c, one, &prev));
			(void)pause_once(c);
		}
		r = call_reply(c, 200, sample(c, one, &prev), e);
	}
	yyjson_mut_doc_free(prev.doc);
	container_put(one);
	return r;
}
