/* Capabilities, namespaces and devices of a container. */
#include "runtime/engine/spec.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const char *const cap_names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

#define CAPS_N (sizeof(cap_names) / sizeof(cap_names[0]))

/* The number of a capability, with or without CAP_, in any case; -1: there is none, -2: ALL. */
static int cap_number(const char *name)
{
	if (strcasecmp(name, "ALL") == 0 || strcasecmp(name, "CAP_ALL") == 0)
		return -2;
	for (size_t i = 0; i < CAPS_N; i++)
		if (strcasecmp(name, cap_names[i]) == 0 || strcasecmp(name, cap_names[i] + 4) == 0)
			return (int)i;
	return -1;
}

static int change_caps(yyjson_val *words, const char *field, uint64_t *set, bool add, struct err *e)
{
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach (words, i, n, item) {
		int number = cap_number(yyjson_get_str(item));
		uint64_t bits = number == -2 ? (1ULL << CAPS_N) - 1 : 1ULL << (number & 63);

		if (number == -1)
			return err_set(e, EINVAL, "invalid %s: unknown capability: \"%.64s\"",
				field, yyjson_get_str(item));
		*set = add ? *set | bits : *set & ~bits;
	}
	return 0;
}

static bool has_all(yyjson_val *words)
{
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach (words, i, n, item)
		if (cap_number(yyjson_get_str(item)) == -2)
			return true;
	return false;
}

int spec_caps(struct spec *s, struct err *e)
{
	yyjson_val *add = yyjson_obj_get(s->host, "CapAdd");
	yyjson_val *drop = yyjson_obj_get(s->host, "CapDrop");
	uint64_t set = 0;
	int r = 0;

	for (size_t i = 0; i < SPEC_CAPS_N; i++)
		set |= 1ULL << cap_number(spec_default_caps[i]);
	/* "--cap-drop ALL --cap-add X" leaves X, in whichever order; "ALL" added yields to a drop.
	 */
	if (s->privileged)
		set = (1ULL << CAPS_N) - 1;
	else if (has_all(add))
		r = change_caps(add, "CapAdd", &set, true, e) < 0
			    ? -EINVAL
			    : change_caps(drop, "CapDrop", &set, false, e);
	else
		r = change_caps(drop, "CapDrop", &set, false, e) < 0
			    ? -EINVAL
			    : change_caps(add, "CapAdd", &set, true, e);
	if (r < 0)
		return r;
	s->caps = calloc(CAPS_N, sizeof(char *));
	if (!s->caps)
		return err_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < CAPS_N; i++)
		if (set & 1ULL << i)
			s->caps[s->n_caps++] = cap_names[i];
	return 0;
}

/* The path of another container's namespace. */
static int other_namespace(
	struct spec *s, const char *ref, const char *file, char *path, size_t size, struct err *e)
{
	struct container *other;
	struct container_state state;
	int r = container_get(s->en, ref, &other, e);

	if (r < 0)
		return r;
	state = container_state(s->en, other);
	if (!container_runs(&state))
		r = err_set(e, EBUSY,
			"cannot join the %s namespace of container %s: container %s is not running",
			file, ref, other->id);
	container_put(other);
	if (r < 0)
		return r;
	(void)snprintf(path, size, "/proc/%d/ns/%s", state.pid, file);
	return 0;
}

static const struct mode {
	const char *type;  /* of the runtime-spec */
	const char *file;  /* below /proc/PID/ns */
	const char *field; /* of the host config; NULL: always its own */
} modes[] = {
	{"mount", "mnt", NULL},
	{"uts", "uts", "UTSMode"},
	{"ipc", "ipc", "IpcMode"},
	{"pid", "pid", "PidMode"},
	{"cgroup", "cgroup", "CgroupnsMode"},
	{"network", "net", "NetworkMode"},
};

static int add_namespace(struct spec *s, yyjson_mut_val *out, const struct mode *m, struct err *e)
{
	const char *mode = m->field ? spec_str(s->host, m->field) : "";
	yyjson_mut_val *ns;
	char path[64] = "";

	if (strcmp(mode, "host") == 0)
		return 0;
	if (strncmp(mode, "container:", 10) == 0) {
		int r = other_namespace(s, mode + 10, m->file, path, sizeof(path), e);

		if (r < 0)
			return r;
	} else if (m->field && mode[0] && strcmp(mode, "private") != 0 &&
		   strcmp(mode, "none") != 0 && strcmp(mode, "shareable") != 0) {
		return err_set(e, EINVAL, "invalid HostConfig.%s: \"%.64s\"", m->field, mode);
	}
	if (strcmp(m->type, "uts") == 0)
		s->own_uts = !path[0];
	ns = yyjson_mut_arr_add_obj(s->doc, out);
	yyjson_mut_obj_add_str(s->doc, ns, "type", m->type);
	if (path[0])
		yyjson_mut_obj_add_strcpy(s->doc, ns, "path", path);
	return 0;
}

yyjson_mut_val *spec_namespaces(struct spec *s, struct err *e)
{
	yyjson_mut_val *out = yyjson_mut_arr(s->doc);

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (add_namespace(s, out, &modes[i], e) < 0)
			return NULL;
	return out;
}

/* One of HostConfig.Devices: the node and the rule that lets it be used. */
static void add_device(struct spec *s, yyjson_mut_val *rules, yyjson_val *item)
{
	const char *from = spec_str(item, "PathOnHost");
	const char *to = spec_str(item, "PathInContainer");
	const char *access = spec_str(item, "CgroupPermissions");
	yyjson_mut_val *rule, *node;
	struct stat st;

	if (stat(from, &st) < 0 || !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
		return;
	rule = yyjson_mut_arr_add_obj(s->doc, rules);
	yyjson_mut_obj_add_bool(s->doc, rule, "allow", true);
	yyjson_mut_obj_add_str(s->doc, rule, "type", S_ISCHR(st.st_mode) ? "c" : "b");
	yyjson_mut_obj_add_int(s->doc, rule, "major", major(st.st_rdev));
	yyjson_mut_obj_add_int(s->doc, rule, "minor", minor(st.st_rdev));
	yyjson_mut_obj_add_str(s->doc, rule, "access", access[0] ? access : "rwm");
	if (!s->devices)
		s->devices = yyjson_mut_arr(s->doc);
	node = yyjson_mut_arr_add_obj(s->doc, s->devices);
	yyjson_mut_obj_add_str(s->doc, node, "path", to[0] ? to : from);
	yyjson_mut_obj_add_str(s->doc, node, "type", S_ISCHR(st.st_mode) ? "c" : "b");
	yyjson_mut_obj_add_int(s->doc, node, "major", major(st.st_rdev));
	yyjson_mut_obj_add_int(s->doc, node, "minor", minor(st.st_rdev));
	yyjson_mut_obj_add_uint(s->doc, node, "fileMode", st.st_mode & 07777);
	yyjson_mut_obj_add_uint(s->doc, node, "uid", st.st_uid);
	yyjson_mut_obj_add_uint(s->doc, node, "gid", st.st_gid);
}

yyjson_mut_val *spec_device_list(struct spec *s)
{
	yyjson_mut_val *rules;
	yyjson_val *item;
	size_t i, n;

	if (s->privileged) {
		yyjson_mut_val *all;

		rules = yyjson_mut_arr(s->doc);
		all = yyjson_mut_arr_add_obj(s->doc, rules);
		yyjson_mut_obj_add_bool(s->doc, all, "allow", true);
		yyjson_mut_obj_add_str(s->doc, all, "access", "rwm");
		return rules;
	}
	rules = spec_device_rules(s->doc);
	yyjson_arr_foreach (yyjson_obj_get(s->host, "Devices"), i, n, item)
		add_device(s, rules, item);
	return rules;
}
