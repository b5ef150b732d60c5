/* What the engine says of itself, and events. */
#include "runtime/api/filters.h"
#include "runtime/api/routes.h"

#include "lib/base/io.h"
#include "lib/base/time.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/log_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ENGINE_VERSION "0.1"

/* The architecture as Go names it. */
static const char *go_arch(void)
{
	return platform_native().architecture;
}

int api_ping(struct call *c, struct err *e)
{
	(void)e;
	(void)http_send(c->conn, 200, "text/plain; charset=utf-8", "OK", 2);
	return 0;
}

static void add_version(yyjson_mut_doc *doc, yyjson_mut_val *top, bool short_names)
{
	struct utsname un;

	(void)uname(&un);
	yyjson_mut_obj_add_str(doc, top, short_names ? "Version" : "Engine", ENGINE_VERSION);
	yyjson_mut_obj_add_strcpy(doc, top, "KernelVersion", un.release);
	yyjson_mut_obj_add_str(doc, top, "Os", "linux");
	yyjson_mut_obj_add_str(doc, top, "Arch", go_arch());
}

int api_version(struct call *c, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *platform = yyjson_mut_obj(doc);
	yyjson_mut_val *components = yyjson_mut_arr(doc);
	yyjson_mut_val *engine = yyjson_mut_arr_add_obj(doc, components);
	yyjson_mut_val *details = yyjson_mut_obj(doc);
	static const struct {
		const char *key, *value;
	} versions[] = {{"ApiVersion", "1.51"}, {"MinAPIVersion", "1.24"}, {"GitCommit", ""},
		{"GoVersion", ""}, {"BuildTime", ""}};

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, platform, "Name", "Sampan");
	yyjson_mut_obj_add_val(doc, top, "Platform", platform);
	yyjson_mut_obj_add_str(doc, engine, "Name", "Engine");
	yyjson_mut_obj_add_str(doc, engine, "Version", ENGINE_VERSION);
	yyjson_mut_obj_add_val(doc, engine, "Details", details);
	yyjson_mut_obj_add_val(doc, top, "Components", components);
	add_version(doc, top, true);
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		yyjson_mut_obj_add_str(doc, top, versions[i].key, versions[i].value);
		yyjson_mut_obj_add_str(doc, details, versions[i].key, versions[i].value);
	}
	yyjson_mut_obj_add_str(doc, details, "Os", "linux");
	yyjson_mut_obj_add_str(doc, details, "Arch", go_arch());
	yyjson_mut_obj_add_str(doc, details, "Experimental", "false");
	return call_reply(c, 200, doc, e);
}

static void count_containers(struct call *c, yyjson_mut_doc *doc, yyjson_mut_val *top)
{
	struct container **list = container_list(c->engine);
	int64_t all = 0;
	int64_t running = 0;
	int64_t paused = 0;

	for (; list && list[all]; all++) {
		struct container_state s = container_state(c->engine, list[all]);

		running += s.status == CONTAINER_RUNNING;
		paused += s.status == CONTAINER_PAUSED;
		container_put(list[all]);
	}
	free(list);
	yyjson_mut_obj_add_int(doc, top, "Containers", all);
	yyjson_mut_obj_add_int(doc, top, "ContainersRunning", running);
	yyjson_mut_obj_add_int(doc, top, "ContainersPaused", paused);
	yyjson_mut_obj_add_int(doc, top, "ContainersStopped", all - running - paused);
}

static int64_t count_images(struct call *c)
{
	struct err ignored = {0};
	char **ids;
	int64_t n = 0;

	if (image_store_list(&c->engine->images, &ids, &ignored) < 0)
		return 0;
	for (; ids[n]; n++)
		free(ids[n]);
	free(ids);
	return n;
}

static yyjson_mut_val *words(yyjson_mut_doc *doc, const char *const *v)
{
	yyjson_mut_val *arr = yyjson_mut_arr(doc);

	for (; *v; v++)
		yyjson_mut_arr_add_str(doc, arr, *v);
	return arr;
}

static void add_plugins(yyjson_mut_doc *doc, yyjson_mut_val *top)
{
	static const char *const volumes[] = {"local", NULL};
	static const char *const networks[] = {"host", "null", NULL};
	yyjson_mut_val *plugins = yyjson_mut_obj(doc);
	yyjson_mut_val *runtimes = yyjson_mut_obj(doc);
	yyjson_mut_val *runtime = yyjson_mut_obj(doc);

	yyjson_mut_obj_add_val(doc, plugins, "Volume", words(doc, volumes));
	yyjson_mut_obj_add_val(doc, plugins, "Network", words(doc, networks));
	yyjson_mut_obj_add_null(doc, plugins, "Authorization");
	yyjson_mut_obj_add_val(doc, plugins, "Log", words(doc, log_driver_names));
	yyjson_mut_obj_add_val(doc, top, "Plugins", plugins);
	yyjson_mut_obj_add_str(doc, runtime, "path", "sampan-oci");
	yyjson_mut_obj_add_val(doc, runtimes, "sampan-oci", runtime);
	yyjson_mut_obj_add_val(doc, top, "Runtimes", runtimes);
	yyjson_mut_obj_add_str(doc, top, "DefaultRuntime", "sampan-oci");
}

int api_info(struct call *c, struct err *e)
{
	static const char *const security[] = {
		"name=seccomp,profile=builtin", "name=cgroupns", NULL};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	struct utsname un;
	struct sysinfo si = {0};
	char now[40];

	(void)uname(&un);
	(void)sysinfo(&si);
	time_print(realtime_ns(), now, sizeof(now));
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "ID", c->engine->id);
	count_containers(c, doc, top);
	yyjson_mut_obj_add_int(doc, top, "Images", count_images(c));
	yyjson_mut_obj_add_str(doc, top, "Driver", "overlay2");
	yyjson_mut_obj_add_val(doc, top, "DriverStatus", yyjson_mut_arr(doc));
	add_plugins(doc, top);
	yyjson_mut_obj_add_bool(doc, top, "MemoryLimit", true);
	yyjson_mut_obj_add_bool(doc, top, "SwapLimit", true);
	yyjson_mut_obj_add_bool(doc, top, "CpuCfsPeriod", true);
	yyjson_mut_obj_add_bool(doc, top, "CpuCfsQuota", true);
	yyjson_mut_obj_add_bool(doc, top, "CPUShares", true);
	yyjson_mut_obj_add_bool(doc, top, "CPUSet", true);
	yyjson_mut_obj_add_bool(doc, top, "PidsLimit", true);
	yyjson_mut_obj_add_bool(doc, top, "IPv4Forwarding", true);
	yyjson_mut_obj_add_bool(doc, top, "Debug", false);
	yyjson_mut_obj_add_bool(doc, top, "OomKillDisable", false);
	yyjson_mut_obj_add_int(doc, top, "NGoroutines", 0);
	yyjson_mut_obj_add_strcpy(doc, top, "SystemTime", now);
	yyjson_mut_obj_add_str(doc, top, "LoggingDriver", "json-file");
	yyjson_mut_obj_add_str(doc, top, "CgroupDriver", "cgroupfs");
	yyjson_mut_obj_add_str(doc, top, "CgroupVersion", "2");
	yyjson_mut_obj_add_int(doc, top, "NEventsListener", 0);
	yyjson_mut_obj_add_strcpy(doc, top, "KernelVersion", un.release);
	yyjson_mut_obj_add_str(doc, top, "OperatingSystem", "Sampan");
	yyjson_mut_obj_add_str(doc, top, "OSVersion", ENGINE_VERSION);
	yyjson_mut_obj_add_str(doc, top, "OSType", "linux");
	yyjson_mut_obj_add_strcpy(doc, top, "Architecture", un.machine);
	yyjson_mut_obj_add_str(doc, top, "IndexServerAddress", "https://index.docker.io/v1/");
	yyjson_mut_obj_add_int(doc, top, "NCPU", sysconf(_SC_NPROCESSORS_ONLN));
	yyjson_mut_obj_add_int(doc, top, "MemTotal", (int64_t)si.totalram * si.mem_unit);
	yyjson_mut_obj_add_null(doc, top, "GenericResources");
	yyjson_mut_obj_add_str(doc, top, "DockerRootDir", c->engine->paths.root);
	yyjson_mut_obj_add_str(doc, top, "HttpProxy", "");
	yyjson_mut_obj_add_str(doc, top, "HttpsProxy", "");
	yyjson_mut_obj_add_str(doc, top, "NoProxy", "");
	yyjson_mut_obj_add_strcpy(doc, top, "Name", un.nodename);
	yyjson_mut_obj_add_val(doc, top, "Labels", yyjson_mut_arr(doc));
	yyjson_mut_obj_add_bool(doc, top, "ExperimentalBuild", false);
	yyjson_mut_obj_add_str(doc, top, "ServerVersion", ENGINE_VERSION);
	yyjson_mut_obj_add_bool(doc, top, "LiveRestoreEnabled", true);
	yyjson_mut_obj_add_str(doc, top, "Isolation", "");
	yyjson_mut_obj_add_str(doc, top, "InitBinary", "docker-init");
	yyjson_mut_obj_add_val(doc, top, "SecurityOptions", words(doc, security));
	yyjson_mut_obj_add_null(doc, top, "Warnings");
	return call_reply(c, 200, doc, e);
}

/* "1700000000", "1700000000.123456789" → nanoseconds; -1 if absent. */
static int read_time(const struct call *c, const char *key, int64_t *ret, struct err *e)
{
	const char *text = query_str(&c->query, key);
	char *end;
	long long secs;
	double part = 0;

	*ret = -1;
	if (!text || !text[0])
		return 0;
	secs = strtoll(text, &end, 10);
	if (*end == '.')
		part = strtod(end, &end);
	if (*end || secs < 0)
		return err_set(e, EINVAL, "invalid value for %s: expected seconds, got \"%.64s\"",
			key, text);
	*ret = (int64_t)secs * 1000000000 + (int64_t)(part * 1e9);
	return 0;
}

/* "exec_create" asks for "exec_create: ls" too, as "health_status" does. */
static bool is_action(void *arg, const char *value)
{
	const char *const *action = arg;
	size_t len = strlen(value);

	return strncmp(*action, value, len) == 0 && (!(*action)[len] || (*action)[len] == ':');
}

static bool event_fits(const struct filters *f, const char *text)
{
	yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
	yyjson_val *top = yyjson_doc_get_root(doc);
	yyjson_val *actor = yyjson_obj_get(top, "Actor");
	yyjson_val *attributes = yyjson_obj_get(actor, "Attributes");
	const char *type = yyjson_get_str(yyjson_obj_get(top, "Type"));
	const char *id = yyjson_get_str(yyjson_obj_get(actor, "ID"));
	const char *name = yyjson_get_str(yyjson_obj_get(attributes, "name"));
	const char *image = yyjson_get_str(yyjson_obj_get(attributes, "image"));
	const char *action = yyjson_get_str(yyjson_obj_get(top, "Action"));
	bool fits = filters_match(f, "type", type) && filters_any(f, "event", is_action, &action) &&
		    filters_labels(f, "label", attributes) && filters_match(f, "scope", "local");

	if (fits && filters_have(f, type))
		fits = filters_match(f, type, id) || (name && filters_match(f, type, name));
	else if (fits && (filters_have(f, "container") || filters_have(f, "image")))
		fits = strcmp(type, "container") == 0 && filters_have(f, "image") && image &&
		       filters_match(f, "image", image);
	yyjson_doc_free(doc);
	return fits;
}

int api_events(struct call *c, struct err *e)
{
	static const char *const known[] = {"container", "event", "image", "label", "type",
		"volume", "network", "daemon", "scope", NULL};
	struct filters f;
	int64_t since, until, at;
	uint64_t cursor = 0;
	char *text;
	int r = read_time(c, "since", &since, e);

	if (r == 0)
		r = read_time(c, "until", &until, e);
	if (r == 0)
		r = filters_read(&f, c, known, e);
	if (r < 0)
		return r;
	/* Without a start only what is still to come. */
	if (since < 0)
		cursor = UINT64_MAX;
	r = http_stream_begin(c->conn, 200, "application/json");
	if (cursor == UINT64_MAX) {
		pthread_mutex_lock(&c->engine->events.lock);
		cursor = c->engine->events.n;
		pthread_mutex_unlock(&c->engine->events.lock);
	}
	while (r == 0) {
		int64_t left = until < 0 ? 1000000000 : until - realtime_ns();
		uint64_t wait = left <= 0	    ? 0
				: left < 1000000000 ? (uint64_t)left / 1000000 + 1
						    : 1000;

		text = events_next(&c->engine->events, &cursor, time_now_ms() + wait, &at);
		if (!text && until >= 0 && left <= 0)
			break;
		if (!text && http_peer_gone(c->conn))
			break;
		if (text && at >= since && (until < 0 || at <= until) && event_fits(&f, text))
			r = http_stream_write(c->conn, text, strlen(text));
		free(text);
	}
	filters_free(&f);
	(void)http_stream_end(c->conn);
	return 0;
}
