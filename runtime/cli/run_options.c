/* The options of run and create, as a table from docker's flags to fields of the API. */
#include "lib/base/num.h"
#include "runtime/cli/format.h"
#include "runtime/cli/run.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void run_begin(struct run *run)
{
	if (run->doc)
		return;
	run->doc = yyjson_mut_doc_new(NULL);
	run->config = yyjson_mut_obj(run->doc);
	run->host = yyjson_mut_obj(run->doc);
	yyjson_mut_doc_set_root(run->doc, run->config);
}

/* Config or HostConfig, as the option's offset says. */
static yyjson_mut_val *object_of(struct run *run, const struct option *o)
{
	run_begin(run);
	return *(yyjson_mut_val **)(void *)((char *)run + o->offset);
}

static void put(struct run *run, const struct option *o, yyjson_mut_val *value)
{
	yyjson_mut_val *obj = object_of(run, o);

	(void)yyjson_mut_obj_put(obj, yyjson_mut_str(run->doc, o->key), value);
}

yyjson_mut_val *run_object(struct run *run, yyjson_mut_val *obj, const char *key)
{
	yyjson_mut_val *found = yyjson_mut_obj_get(obj, key);

	return found ? found : yyjson_mut_obj_add_obj(run->doc, obj, key);
}

void run_append(struct run *run, yyjson_mut_val *obj, const char *key, yyjson_mut_val *value)
{
	yyjson_mut_val *list = yyjson_mut_obj_get(obj, key);

	if (!list)
		list = yyjson_mut_obj_add_arr(run->doc, obj, key);
	(void)yyjson_mut_arr_append(list, value);
}

static int take_text(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;

	(void)e;
	run_begin(run);
	put(run, o, yyjson_mut_str(run->doc, value));
	return 0;
}

static int take_switch(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	bool on;
	int r = option_bool(&on, &(struct option){.letter = o->letter, .name = o->name}, value, e);

	run_begin(run);
	if (r == 0)
		put(run, o, yyjson_mut_bool(run->doc, on));
	return r;
}

static int take_number(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	int64_t n = 0;
	int r = option_int(&n, &(struct option){.letter = o->letter, .name = o->name}, value, e);

	run_begin(run);
	if (r == 0)
		put(run, o, yyjson_mut_sint(run->doc, n));
	return r;
}

static int take_bytes(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	char why[80];
	int64_t n = -1;

	/* of swap, -1 is "as much as there is" */
	if (strcmp(value, "-1") != 0 && format_parse_bytes(value, &n) < 0) {
		snprintf(why, sizeof(why), "invalid size: '%s'", value);
		return option_refuse(o, value, why, e);
	}
	run_begin(run);
	put(run, o, yyjson_mut_sint(run->doc, n));
	return 0;
}

static int take_cpus(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	char *end;
	double n = strtod(value, &end);

	if (end == value || *end || !(n >= 0 && n < 1e6))
		return option_refuse(o, value, "expected a number of processors", e);
	run_begin(run);
	put(run, o, yyjson_mut_sint(run->doc, (int64_t)(n * 1e9 + 0.5)));
	return 0;
}

static int take_word(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;

	(void)e;
	run_append(run, object_of(run, o), o->key, yyjson_mut_str(run->doc, value));
	return 0;
}

/* "net_admin" is CAP_NET_ADMIN. */
static int take_capability(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	bool whole = strcasecmp(value, "ALL") == 0 || strncasecmp(value, "CAP_", 4) == 0;
	char name[64];

	if (snprintf(name, sizeof(name), "%s%s", whole ? "" : "CAP_", value) >= (int)sizeof(name))
		return option_refuse(o, value, "no such capability", e);
	for (char *at = name; *at; at++)
		*at = (char)toupper((unsigned char)*at);
	run_append(run, object_of(run, o), o->key, yyjson_mut_strcpy(run->doc, name));
	return 0;
}

/* NAME without a value is taken from the environment. */
static void add_env(struct run *run, const char *value)
{
	const char *own = strchr(value, '=') ? NULL : getenv(value);
	AUTO_BUF struct buf b = {0};

	if (own && buf_printf(&b, "%s=%s", value, own) == 0)
		run_append(run, run->config, "Env", yyjson_mut_strncpy(run->doc, b.v, b.len));
	else
		run_append(run, run->config, "Env", yyjson_mut_strcpy(run->doc, value));
}

static int take_env(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;

	if (!value[0] || value[0] == '=')
		return option_refuse(o, value, "invalid environment variable", e);
	run_begin(run);
	add_env(run, value);
	return 0;
}

static void add_label(struct run *run, const char *value)
{
	size_t len = strcspn(value, "=");
	yyjson_mut_val *key = yyjson_mut_strncpy(run->doc, value, len);

	(void)yyjson_mut_obj_put(run_object(run, run->config, "Labels"), key,
		yyjson_mut_strcpy(run->doc, value[len] ? value + len + 1 : ""));
}

static int take_label(void *to, const struct option *o, const char *value, struct err *e)
{
	(void)o, (void)e;
	run_begin(to);
	add_label(to, value);
	return 0;
}

/* A file with a value in each line, but for empty lines and comments. */
static int take_file(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	FILE *file = fopen(value, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	if (!file)
		return err_set(e, errno, "open %s: %s", value, strerror(errno));
	run_begin(run);
	while ((len = getline(&line, &room, file)) > 0) {
		const char *at = line + strspn(line, " \t");

		line[len - (line[len - 1] == '\n')] = '\0';
		if (*at && *at != '#' && strcmp(o->name, "env-file") == 0)
			add_env(run, at);
		else if (*at && *at != '#')
			add_label(run, at);
	}
	free(line);
	(void)fclose(file);
	return 0;
}

/* KEY=VALUE into an object: of sysctls, and of log options in LogConfig. */
static int take_pair(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	yyjson_mut_val *obj = object_of(run, o);
	size_t len = strcspn(value, "=");

	(void)e;
	if (strcmp(o->key, "Config") == 0)
		obj = run_object(run, obj, "LogConfig");
	(void)yyjson_mut_obj_put(run_object(run, obj, o->key),
		yyjson_mut_strncpy(run->doc, value, len),
		yyjson_mut_str(run->doc, value[len] ? value + len + 1 : ""));
	return 0;
}

static int take_log_driver(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;

	(void)o, (void)e;
	run_begin(run);
	(void)yyjson_mut_obj_put(run_object(run, run->host, "LogConfig"),
		yyjson_mut_str(run->doc, "Type"), yyjson_mut_str(run->doc, value));
	return 0;
}

static int take_tmpfs(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	size_t len = strcspn(value, ":");

	(void)o, (void)e;
	run_begin(run);
	(void)yyjson_mut_obj_put(run_object(run, run->host, "Tmpfs"),
		yyjson_mut_strncpy(run->doc, value, len),
		yyjson_mut_str(run->doc, value[len] ? value + len + 1 : ""));
	return 0;
}

static int take_restart(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	size_t len = strcspn(value, ":");
	uint64_t count = 0;
	yyjson_mut_val *policy;

	if (value[len] &&
		num_parse_u64(value + len + 1, strlen(value + len + 1), INT32_MAX, &count) < 0)
		return err_set(e, EINVAL,
			"invalid restart policy format: maximum retry count must be an integer");
	run_begin(run);
	policy = yyjson_mut_obj(run->doc);
	(void)yyjson_mut_obj_add_strncpy(run->doc, policy, "Name", value, len);
	(void)yyjson_mut_obj_add_uint(run->doc, policy, "MaximumRetryCount", count);
	put(run, o, policy);
	return 0;
}

/* An empty one takes the image's away. */
static int take_entrypoint(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	yyjson_mut_val *list;

	(void)e;
	run_begin(run);
	list = yyjson_mut_arr(run->doc);
	(void)yyjson_mut_arr_add_str(run->doc, list, value);
	put(run, o, list);
	return 0;
}

static int take_ulimit(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	size_t name = strcspn(value, "=");
	yyjson_mut_val *limit;
	long long soft, hard;
	char *end;

	if (!value[name])
		return option_refuse(o, value, "invalid ulimit argument", e);
	soft = hard = strtoll(value + name + 1, &end, 10);
	if (*end == ':')
		hard = strtoll(end + 1, &end, 10);
	if (*end || end == value + name + 1)
		return option_refuse(o, value, "invalid ulimit argument", e);
	run_begin(run);
	limit = yyjson_mut_obj(run->doc);
	(void)yyjson_mut_obj_add_strncpy(run->doc, limit, "Name", value, name);
	(void)yyjson_mut_obj_add_sint(run->doc, limit, "Hard", hard);
	(void)yyjson_mut_obj_add_sint(run->doc, limit, "Soft", soft);
	run_append(run, run->host, "Ulimits", limit);
	return 0;
}

static int take_health_command(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	bool none = !o->argument;
	yyjson_mut_val *test;

	(void)e;
	run_begin(run);
	test = yyjson_mut_arr(run->doc);
	(void)yyjson_mut_arr_add_str(run->doc, test, none ? "NONE" : "CMD-SHELL");
	if (!none)
		(void)yyjson_mut_arr_add_str(run->doc, test, value);
	(void)yyjson_mut_obj_put(run_object(run, run->config, "Healthcheck"),
		yyjson_mut_str(run->doc, "Test"), test);
	return 0;
}

static int take_health(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	int64_t n = 0;

	if (strcmp(o->key, "Retries") == 0) {
		int r = option_count(&n, &(struct option){.name = o->name}, value, e);

		if (r < 0)
			return r;
	} else if (format_parse_duration(value, &n) < 0) {
		return option_refuse(o, value, "expected a duration like 10s", e);
	}
	run_begin(run);
	(void)yyjson_mut_obj_put(run_object(run, run->config, "Healthcheck"),
		yyjson_mut_str(run->doc, o->key), yyjson_mut_sint(run->doc, n));
	return 0;
}

static int take_proxy(void *to, const struct option *o, const char *value, struct err *e)
{
	struct run *run = to;
	bool on = true;
	int r = option_bool(&on, &(struct option){.name = o->name}, value, e);

	run->no_proxy = !on;
	return r;
}

#define OWN(letter, name, argument, member, take, help)                                            \
	OPT(letter, name, argument, run, member, take, help)
#define IN(letter_, name_, argument_, object_, key_, take_, help_)                                 \
	{                                                                                          \
		.letter = (letter_), .name = (name_), .argument = (argument_), .help = (help_),    \
		.take = (take_), .offset = offsetof(struct run, object_), .key = (key_)            \
	}
#define HOST(letter, name, argument, key, take, help)                                              \
	IN(letter, name, argument, host, key, take, help)
#define CONFIG(letter, name, argument, key, take, help)                                            \
	IN(letter, name, argument, config, key, take, help)

/* Those of run alone come first. */
static const struct option table[] = {
	OWN('d', "detach", NULL, detach, option_bool, "print the id and leave it running"),
	OWN(0, "detach-keys", "KEYS", detach_keys, option_text, "instead of ctrl-p,ctrl-q"),
	OWN(0, "sig-proxy", NULL, no_proxy, take_proxy, "hand signals on (default true)"),
#define RUN_ONLY 3
	HOST(0, "add-host", "HOST:IP", "ExtraHosts", take_word, "a line of /etc/hosts"),
	HOST(0, "cap-add", "CAP", "CapAdd", take_capability, "a capability more"),
	HOST(0, "cap-drop", "CAP", "CapDrop", take_capability, "a capability less"),
	HOST(0, "cgroupns", "MODE", "CgroupnsMode", take_text, "host or private"),
	OWN(0, "cidfile", "FILE", cidfile, option_text, "write the id there"),
	HOST('c', "cpu-shares", "N", "CpuShares", take_number, "weight among others"),
	HOST(0, "cpus", "N", "NanoCpus", take_cpus, "processors, also 0.5"),
	HOST(0, "cpuset-cpus", "LIST", "CpusetCpus", take_text, "which processors: 0-3,5"),
	HOST(0, "dns", "IP", "Dns", take_word, "a name server"),
	HOST(0, "dns-option", "WORD", "DnsOptions", take_word, "of resolv.conf"),
	HOST(0, "dns-search", "DOMAIN", "DnsSearch", take_word, "of resolv.conf"),
	CONFIG(0, "entrypoint", "PROGRAM", "Entrypoint", take_entrypoint, "instead of the image's"),
	CONFIG('e', "env", "NAME[=VALUE]", "Env", take_env, "a variable"),
	CONFIG(0, "env-file", "FILE", "Env", take_file, "a file of variables"),
	CONFIG(0, "expose", "PORT", "ExposedPorts", run_take_expose, "a port it listens on"),
	HOST(0, "group-add", "GROUP", "GroupAdd", take_word, "a group more"),
	CONFIG(0, "health-cmd", "COMMAND", "Healthcheck", take_health_command, "tells its health"),
	CONFIG(0, "health-interval", "TIME", "Interval", take_health, "between two checks"),
	CONFIG(0, "health-retries", "N", "Retries", take_health, "failures that make it unhealthy"),
	CONFIG(0, "health-start-interval", "TIME", "StartInterval", take_health, "while it starts"),
	CONFIG(0, "health-start-period", "TIME", "StartPeriod", take_health, "in which it starts"),
	CONFIG(0, "health-timeout", "TIME", "Timeout", take_health, "how long a check may take"),
	CONFIG('h', "hostname", "NAME", "Hostname", take_text, "its host name"),
	HOST(0, "init", NULL, "Init", take_switch, "an init in it that reaps processes"),
	OWN('i', "interactive", NULL, interactive, option_bool, "keep its input open"),
	HOST(0, "ipc", "MODE", "IpcMode", take_text, "whose IPC namespace"),
	CONFIG('l', "label", "NAME[=VALUE]", "Labels", take_label, "a label"),
	CONFIG(0, "label-file", "FILE", "Labels", take_file, "a file of labels"),
	HOST(0, "log-driver", "NAME", "LogConfig", take_log_driver, "json-file or none"),
	HOST(0, "log-opt", "KEY=VALUE", "Config", take_pair, "of the log driver"),
	HOST('m', "memory", "BYTES", "Memory", take_bytes, "limit, like 64m"),
	HOST(0, "memory-reservation", "BYTES", "MemoryReservation", take_bytes, "soft limit"),
	HOST(0, "memory-swap", "BYTES", "MemorySwap", take_bytes, "memory and swap; -1: no limit"),
	HOST(0, "mount", "KEY=VALUE,...", "Mounts", run_take_mount,
		"type=,source=,target=,readonly"),
	OWN(0, "name", "NAME", name, option_text, "its name"),
	HOST(0, "network", "NAME", "NetworkMode", take_text,
		"none, host, container:NAME or another"),
	HOST(0, "net", "NAME", "NetworkMode", take_text, "the same"),
	CONFIG(0, "no-healthcheck", NULL, "Healthcheck", take_health_command,
		"not the image's either"),
	HOST(0, "oom-score-adj", "N", "OomScoreAdj", take_number, "-1000 to 1000"),
	HOST(0, "pid", "MODE", "PidMode", take_text, "whose PID namespace"),
	HOST(0, "pids-limit", "N", "PidsLimit", take_number, "processes; -1: no limit"),
	OWN(0, "platform", "OS/ARCH", platform, option_text, "of the image"),
	HOST(0, "privileged", NULL, "Privileged", take_switch, "everything is allowed"),
	HOST('p', "publish", "[IP:][PORT:]PORT", "PortBindings", run_take_publish,
		"a port of the host"),
	OWN(0, "pull", "WHEN", pull, option_text, "always, missing (default) or never"),
	OWN('q', "quiet", NULL, quiet, option_bool, "no progress of a pull"),
	HOST(0, "read-only", NULL, "ReadonlyRootfs", take_switch, "its files cannot be changed"),
	HOST(0, "restart", "POLICY", "RestartPolicy", take_restart,
		"no, always, unless-stopped, on-failure[:N]"),
	OWN(0, "rm", NULL, remove, option_bool, "remove it when it ends"),
	HOST(0, "runtime", "NAME", "Runtime", take_text, "which runtime"),
	HOST(0, "security-opt", "WORD", "SecurityOpt", take_word, "like no-new-privileges"),
	HOST(0, "shm-size", "BYTES", "ShmSize", take_bytes, "of /dev/shm"),
	CONFIG(0, "stop-signal", "SIGNAL", "StopSignal", take_text, "that stops it"),
	CONFIG(0, "stop-timeout", "SECONDS", "StopTimeout", take_number, "before it is killed"),
	HOST(0, "sysctl", "KEY=VALUE", "Sysctls", take_pair, "of its namespaces"),
	HOST(0, "tmpfs", "PATH[:OPTIONS]", "Tmpfs", take_tmpfs, "a file system in memory"),
	OWN('t', "tty", NULL, tty, option_bool, "give it a terminal"),
	HOST(0, "ulimit", "NAME=SOFT[:HARD]", "Ulimits", take_ulimit, "like nofile=1024"),
	CONFIG('u', "user", "USER[:GROUP]", "User", take_text, "who it runs as"),
	HOST(0, "userns", "MODE", "UsernsMode", take_text, "host"),
	HOST(0, "uts", "MODE", "UTSMode", take_text, "host"),
	HOST('v', "volume", "[SOURCE:]PATH[:OPTIONS]", "Binds", run_take_volume,
		"a path of the host, or a volume"),
	HOST(0, "volumes-from", "NAME", "VolumesFrom", take_word, "those of another container"),
	CONFIG('w', "workdir", "PATH", "WorkingDir", take_text, "where it starts"),
};

const struct command cmd_run = {"run", "IMAGE [COMMAND [ARGUMENT]...]",
	"make a container and start it", {.v = table, .n = N_OF(table), .ordered = true},
	sizeof(struct run), 1, -1, run_run, NULL};
const struct command cmd_create = {"create", "IMAGE [COMMAND [ARGUMENT]...]", "make a container",
	{.v = table + RUN_ONLY, .n = N_OF(table) - RUN_ONLY, .ordered = true}, sizeof(struct run),
	1, -1, create_run, NULL};
