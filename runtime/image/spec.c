#include "runtime/image/spec.h"

#include "lib/util/path.h"
#include "runtime/image/layerpath.h"
#include "runtime/image/reference.h"
#include "runtime/image/seccomp_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The kernel that Sampan runs; the seccomp profile has rules for kernels from some version on. */
#define KERNEL_MAJOR 6
#define KERNEL_MINOR 12

/* Docker's: one process may open 1024 files, and may raise that itself. */
#define NOFILE_SOFT 1024
#define NOFILE_HARD 524288

const char spec_default_path[] =
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Docker's default capabilities. */
const char *const spec_default_caps[SPEC_CAPS_N] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_FSETID",
	"CAP_FOWNER",
	"CAP_MKNOD",
	"CAP_NET_RAW",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETFCAP",
	"CAP_SETPCAP",
	"CAP_NET_BIND_SERVICE",
	"CAP_SYS_CHROOT",
	"CAP_KILL",
	"CAP_AUDIT_WRITE",
};

static const struct {
	const char *destination, *type, *source, *options[7];
} default_mounts[] = {
	{"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
	{"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
	{"/dev/pts", "devpts", "devpts",
		{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
	{"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
	{"/sys/fs/cgroup", "cgroup", "cgroup", {"ro", "nosuid", "noexec", "nodev"}},
	{"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
	{"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=67108864"}},
};

static const char *const masked_paths[] = {
	"/proc/asound",
	"/proc/acpi",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/sys/firmware",
	"/sys/devices/virtual/powercap",
};

static const char *const readonly_paths[] = {
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
};

/* Everything but the first five is left to the network option. */
static const char *const namespaces[] = {"mount", "uts", "ipc", "pid", "cgroup", "network"};

#define N_NAMESPACES_ALWAYS 5

/* What Docker sets where the network is the container's own. */
static const char *const network_sysctls[][2] = {
	{"net.ipv4.ip_unprivileged_port_start", "0"},
	{"net.ipv4.ping_group_range", "0 2147483647"},
};

/* Docker's device rules; the runtime adds mknod and terminals, as the runtime-spec says. -1: all.
 */
static const struct {
	int allow;
	char type; /* '\0': all */
	int major, minor;
} device_rules[] = {
	{0, '\0', -1, -1},
	{1, 'c', 1, 5},
	{1, 'c', 1, 3},
	{1, 'c', 1, 9},
	{1, 'c', 1, 8},
	{1, 'c', 5, 0},
	{1, 'c', 5, 1},
	{0, 'c', 10, 229},
};

int spec_working_dir(const struct image_config *c, char *out, size_t size, struct err *e)
{
	int r;

	out[0] = '/';
	r = layer_path_clean(c->working_dir ? c->working_dir : "", out + 1, size - 1);
	if (r < 0)
		return err_set(e, -r, "image config: config.WorkingDir: \"%.100s\" cannot be used",
			c->working_dir);
	return 0;
}

static yyjson_mut_val *strings(yyjson_mut_doc *doc, const char *const *v, size_t n)
{
	yyjson_mut_val *arr = yyjson_mut_arr(doc);

	for (size_t i = 0; i < n && v[i]; i++)
		yyjson_mut_arr_add_str(doc, arr, v[i]);
	return arr;
}

/* The length of "NAME=" in an environment entry, 0 if it is none. */
static size_t key_len(const char *env)
{
	const char *equals = strchr(env, '=');

	return equals && equals != env ? (size_t)(equals - env) + 1 : 0;
}

/* Whether an entry from @from on sets the variable that @env sets. */
static int is_set(const struct json_strv *list, size_t from, const char *env)
{
	size_t len = key_len(env);

	for (size_t i = from; i < list->n; i++) {
		if (key_len(list->v[i]) == len && strncmp(list->v[i], env, len) == 0)
			return 1;
	}
	return 0;
}

static yyjson_mut_val *make_env(yyjson_mut_doc *doc, const struct image_config *c,
	const struct user *user, const struct spec_options *options)
{
	yyjson_mut_val *arr = yyjson_mut_arr(doc);
	char hostname[300];
	char home[USERS_HOME_BYTES_MAX + 8];

	snprintf(hostname, sizeof(hostname), "HOSTNAME=%s", options->hostname);
	snprintf(home, sizeof(home), "HOME=%s", user->home);
	if (!is_set(&c->env, 0, spec_default_path))
		yyjson_mut_arr_add_str(doc, arr, spec_default_path);
	if (!is_set(&c->env, 0, hostname))
		yyjson_mut_arr_add_strcpy(doc, arr, hostname);
	for (size_t i = 0; i < c->env.n; i++) {
		if (key_len(c->env.v[i]) && !is_set(&c->env, i + 1, c->env.v[i]))
			yyjson_mut_arr_add_str(doc, arr, c->env.v[i]);
	}
	if (!is_set(&c->env, 0, home))
		yyjson_mut_arr_add_strcpy(doc, arr, home);
	return arr;
}

yyjson_mut_val *spec_user(yyjson_mut_doc *doc, const struct user *user)
{
	yyjson_mut_val *obj = yyjson_mut_obj(doc);
	yyjson_mut_val *groups = yyjson_mut_arr(doc);

	for (size_t i = 0; i < user->n_groups; i++)
		yyjson_mut_arr_add_uint(doc, groups, user->groups[i]);
	yyjson_mut_obj_add_uint(doc, obj, "uid", user->uid);
	yyjson_mut_obj_add_uint(doc, obj, "gid", user->gid);
	yyjson_mut_obj_add_val(doc, obj, "additionalGids", groups);
	return obj;
}

static yyjson_mut_val *make_process(yyjson_mut_doc *doc, const struct image_config *c,
	const struct user *user, const struct spec_options *options, const char *cwd)
{
	static const char *const cap_sets[] = {"bounding", "effective", "permitted"};
	yyjson_mut_val *process = yyjson_mut_obj(doc);
	yyjson_mut_val *caps = yyjson_mut_obj(doc);
	yyjson_mut_val *args = yyjson_mut_arr(doc);
	yyjson_mut_val *rlimits = yyjson_mut_arr(doc);
	yyjson_mut_val *nofile = yyjson_mut_arr_add_obj(doc, rlimits);

	for (size_t i = 0; i < c->entrypoint.n; i++)
		yyjson_mut_arr_add_str(doc, args, c->entrypoint.v[i]);
	for (size_t i = 0; i < c->cmd.n; i++)
		yyjson_mut_arr_add_str(doc, args, c->cmd.v[i]);
	for (size_t i = 0; i < COUNT(cap_sets); i++)
		yyjson_mut_obj_add_val(
			doc, caps, cap_sets[i], strings(doc, spec_default_caps, SPEC_CAPS_N));
	yyjson_mut_obj_add_str(doc, nofile, "type", "RLIMIT_NOFILE");
	yyjson_mut_obj_add_uint(doc, nofile, "hard", NOFILE_HARD);
	yyjson_mut_obj_add_uint(doc, nofile, "soft", NOFILE_SOFT);
	yyjson_mut_obj_add_bool(doc, process, "terminal", false);
	yyjson_mut_obj_add_val(doc, process, "user", spec_user(doc, user));
	yyjson_mut_obj_add_val(doc, process, "args", args);
	yyjson_mut_obj_add_val(doc, process, "env", make_env(doc, c, user, options));
	yyjson_mut_obj_add_strcpy(doc, process, "cwd", cwd);
	yyjson_mut_obj_add_val(doc, process, "capabilities", caps);
	yyjson_mut_obj_add_val(doc, process, "rlimits", rlimits);
	yyjson_mut_obj_add_int(doc, process, "oomScoreAdj", 0);
	return process;
}

yyjson_mut_val *spec_mounts(yyjson_mut_doc *doc)
{
	yyjson_mut_val *arr = yyjson_mut_arr(doc);

	for (size_t i = 0; i < COUNT(default_mounts); i++) {
		yyjson_mut_val *m = yyjson_mut_arr_add_obj(doc, arr);

		yyjson_mut_obj_add_str(doc, m, "destination", default_mounts[i].destination);
		yyjson_mut_obj_add_str(doc, m, "type", default_mounts[i].type);
		yyjson_mut_obj_add_str(doc, m, "source", default_mounts[i].source);
		yyjson_mut_obj_add_val(doc, m, "options",
			strings(doc, default_mounts[i].options, COUNT(default_mounts[i].options)));
	}
	return arr;
}

yyjson_mut_val *spec_device_rules(yyjson_mut_doc *doc)
{
	yyjson_mut_val *devices = yyjson_mut_arr(doc);

	for (size_t i = 0; i < COUNT(device_rules); i++) {
		yyjson_mut_val *d = yyjson_mut_arr_add_obj(doc, devices);

		yyjson_mut_obj_add_bool(doc, d, "allow", device_rules[i].allow);
		if (device_rules[i].type) {
			yyjson_mut_obj_add_strncpy(doc, d, "type", &device_rules[i].type, 1);
			yyjson_mut_obj_add_int(doc, d, "major", device_rules[i].major);
			yyjson_mut_obj_add_int(doc, d, "minor", device_rules[i].minor);
		}
		yyjson_mut_obj_add_str(doc, d, "access", "rwm");
	}
	return devices;
}

yyjson_mut_val *spec_masked_paths(yyjson_mut_doc *doc)
{
	return strings(doc, masked_paths, COUNT(masked_paths));
}

yyjson_mut_val *spec_readonly_paths(yyjson_mut_doc *doc)
{
	return strings(doc, readonly_paths, COUNT(readonly_paths));
}

yyjson_mut_val *spec_seccomp(yyjson_mut_doc *doc, const char *profile, size_t len,
	const char *const *caps, size_t n_caps, struct err *e)
{
	const struct seccomp_target target = {
		.architecture = platform_native().architecture,
		.caps = caps,
		.n_caps = n_caps,
		.kernel_major = KERNEL_MAJOR,
		.kernel_minor = KERNEL_MINOR,
	};

	if (!profile)
		profile = seccomp_profile_default(&len);
	return seccomp_profile_resolve(profile, len, &target, doc, e);
}

static yyjson_mut_val *make_linux(yyjson_mut_doc *doc, const struct image_config *c,
	const struct spec_options *options, struct err *e)
{
	const struct seccomp_target target = {
		.architecture = c->architecture,
		.caps = spec_default_caps,
		.n_caps = SPEC_CAPS_N,
		.kernel_major = KERNEL_MAJOR,
		.kernel_minor = KERNEL_MINOR,
	};
	size_t n_ns = options->private_network ? COUNT(namespaces) : N_NAMESPACES_ALWAYS;
	yyjson_mut_val *linux_obj = yyjson_mut_obj(doc);
	yyjson_mut_val *resources = yyjson_mut_obj(doc);
	yyjson_mut_val *ns = yyjson_mut_arr(doc);
	yyjson_mut_val *sysctl = yyjson_mut_obj(doc);
	yyjson_mut_val *seccomp;
	const char *profile;
	size_t len;

	profile = seccomp_profile_default(&len);
	seccomp = seccomp_profile_resolve(profile, len, &target, doc, e);
	if (!seccomp)
		return NULL;
	for (size_t i = 0; i < n_ns; i++)
		yyjson_mut_obj_add_str(doc, yyjson_mut_arr_add_obj(doc, ns), "type", namespaces[i]);
	for (size_t i = 0; options->private_network && i < COUNT(network_sysctls); i++)
		yyjson_mut_obj_add_str(doc, sysctl, network_sysctls[i][0], network_sysctls[i][1]);
	if (options->private_network)
		yyjson_mut_obj_add_val(doc, linux_obj, "sysctl", sysctl);
	yyjson_mut_obj_add_val(doc, resources, "devices", spec_device_rules(doc));
	yyjson_mut_obj_add_val(doc, linux_obj, "resources", resources);
	yyjson_mut_obj_add_val(doc, linux_obj, "namespaces", ns);
	yyjson_mut_obj_add_val(doc, linux_obj, "seccomp", seccomp);
	yyjson_mut_obj_add_val(doc, linux_obj, "maskedPaths", spec_masked_paths(doc));
	yyjson_mut_obj_add_val(doc, linux_obj, "readonlyPaths", spec_readonly_paths(doc));
	return linux_obj;
}

static int has_label(const struct image_config *c, const char *key)
{
	for (size_t i = 0; i < c->n_labels; i++) {
		if (strcmp(c->labels[i].key, key) == 0)
			return 1;
	}
	return 0;
}

/* Labels, and what conversion.md derives from other fields; a label of that name wins. */
static yyjson_mut_val *make_annotations(yyjson_mut_doc *doc, const struct image_config *c)
{
	const char *const derived[][2] = {
		{"org.opencontainers.image.os", c->os},
		{"org.opencontainers.image.architecture", c->architecture},
		{"org.opencontainers.image.author", c->author},
		{"org.opencontainers.image.created", c->created},
		{"org.opencontainers.image.stopSignal", c->stop_signal},
	};
	static const char ports_key[] = "org.opencontainers.image.exposedPorts";
	yyjson_mut_val *obj = yyjson_mut_obj(doc);
	char ports[1024] = "";

	for (size_t i = 0; i < COUNT(derived); i++) {
		if (derived[i][1] && !has_label(c, derived[i][0]))
			yyjson_mut_obj_add_str(doc, obj, derived[i][0], derived[i][1]);
	}
	for (size_t i = 0; i < c->exposed_ports.n; i++) {
		size_t used = strlen(ports);

		snprintf(ports + used, sizeof(ports) - used, "%s%s", used ? "," : "",
			c->exposed_ports.v[i]);
	}
	if (ports[0] && !has_label(c, ports_key))
		yyjson_mut_obj_add_strcpy(doc, obj, ports_key, ports);
	for (size_t i = 0; i < c->n_labels; i++)
		yyjson_mut_obj_add_str(doc, obj, c->labels[i].key, c->labels[i].value);
	return obj;
}

static int fill(yyjson_mut_doc *doc, const struct image_config *c, const struct user *user,
	const struct spec_options *options, struct err *e)
{
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *root = yyjson_mut_obj(doc);
	yyjson_mut_val *linux_obj;
	char cwd[PATH_BYTES_MAX];
	int r = spec_working_dir(c, cwd, sizeof(cwd), e);

	if (r < 0)
		return r;
	linux_obj = make_linux(doc, c, options, e);
	if (!linux_obj)
		return e ? -e->code : -EINVAL;
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "ociVersion", "1.2.0");
	yyjson_mut_obj_add_val(doc, top, "process", make_process(doc, c, user, options, cwd));
	yyjson_mut_obj_add_str(doc, root, "path", "rootfs");
	yyjson_mut_obj_add_bool(doc, root, "readonly", false);
	yyjson_mut_obj_add_val(doc, top, "root", root);
	yyjson_mut_obj_add_str(doc, top, "hostname", options->hostname);
	yyjson_mut_obj_add_val(doc, top, "mounts", spec_mounts(doc));
	yyjson_mut_obj_add_val(doc, top, "annotations", make_annotations(doc, c));
	yyjson_mut_obj_add_val(doc, top, "linux", linux_obj);
	return 0;
}

int spec_make(const struct image_config *c, const struct user *user,
	const struct spec_options *options, char **ret_json, size_t *ret_len, struct err *e)
{
	yyjson_mut_doc *doc;
	int r;

	if (c->entrypoint.n + c->cmd.n == 0)
		return err_set(
			e, EINVAL, "image config: has neither Entrypoint nor Cmd: nothing to run");
	doc = yyjson_mut_doc_new(NULL);
	if (!doc)
		return err_set(e, ENOMEM, "config.json: out of memory");
	r = fill(doc, c, user, options, e);
	if (r == 0) {
		*ret_json = yyjson_mut_write(
			doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, ret_len);
		if (!*ret_json)
			r = err_set(e, ENOMEM, "config.json: out of memory");
	}
	yyjson_mut_doc_free(doc);
	return r;
}
