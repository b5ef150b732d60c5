/*
 * config.json of a container: what its record says, in the words of the OCI runtime-spec.
 * Source: OCI runtime-spec 1.2; Docker Engine API v1.51, HostConfig.
 */
#include "runtime/engine/spec.h"
#include "runtime/engine/resources.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Docker's numbers for a program that was not given any. */
#define NOFILE_SOFT 1024
#define NOFILE_HARD 524288

const char *spec_str(yyjson_val *obj, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(obj, key));

	return s ? s : "";
}

int64_t spec_int(yyjson_val *obj, const char *key)
{
	return yyjson_get_sint(yyjson_obj_get(obj, key));
}

static void add_words(yyjson_mut_doc *doc, yyjson_mut_val *args, yyjson_val *words)
{
	yyjson_val *word;
	size_t i, n;

	yyjson_arr_foreach (words, i, n, word)
		yyjson_mut_arr_append(args, yyjson_val_mut_copy(doc, word));
}

/* The last word of @env that sets @key, with or without a value; NULL: none does. */
static const char *env_find(yyjson_val *env, const char *key, size_t len)
{
	const char *found = NULL;
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach (env, i, n, item) {
		const char *word = yyjson_get_str(item);

		if (strcspn(word, "=") == len && strncmp(word, key, len) == 0)
			found = word;
	}
	return found;
}

static bool env_sets(const struct spec_program *p, yyjson_val *base, const char *key)
{
	const char *word = env_find(p->env, key, strlen(key));

	if (!word)
		word = env_find(base, key, strlen(key));
	return word && strchr(word, '=');
}

/* The container's variables, each as the program's own list has it, if it does. A word without "="
 * asks for a variable to be left out. */
static void merge_env(struct spec *s, const struct spec_program *p, yyjson_mut_val *out)
{
	yyjson_val *base = yyjson_obj_get(s->config, "Env");
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach (base, i, n, item) {
		const char *word = yyjson_get_str(item);
		const char *own = env_find(p->env, word, strcspn(word, "="));

		word = own ? own : word;
		if (strchr(word, '='))
			yyjson_mut_arr_add_strcpy(s->doc, out, word);
	}
	yyjson_arr_foreach (p->env, i, n, item) {
		const char *word = yyjson_get_str(item);
		size_t len = strcspn(word, "=");

		if (word[len] && !env_find(base, word, len) && env_find(p->env, word, len) == word)
			yyjson_mut_arr_add_strcpy(s->doc, out, word);
	}
}

static yyjson_mut_val *make_env(
	struct spec *s, const struct spec_program *p, const struct user *user)
{
	yyjson_val *base = yyjson_obj_get(s->config, "Env");
	yyjson_mut_val *out = yyjson_mut_arr(s->doc);
	char line[USERS_HOME_BYTES_MAX + 300];

	if (!env_sets(p, base, "PATH"))
		yyjson_mut_arr_add_str(s->doc, out, spec_default_path);
	(void)snprintf(line, sizeof(line), "HOSTNAME=%s", spec_str(s->config, "Hostname"));
	yyjson_mut_arr_add_strcpy(s->doc, out, line);
	if (s->tty)
		yyjson_mut_arr_add_str(s->doc, out, "TERM=xterm");
	merge_env(s, p, out);
	(void)snprintf(line, sizeof(line), "HOME=%s", user->home);
	if (!env_sets(p, base, "HOME"))
		yyjson_mut_arr_add_strcpy(s->doc, out, line);
	return out;
}

/* GroupAdd: numbers as they stand, names by the image's /etc/group. */
static int add_groups(struct spec *s, yyjson_mut_val *user, struct err *e)
{
	yyjson_mut_val *gids = yyjson_mut_obj_get(user, "additionalGids");
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach (yyjson_obj_get(s->host, "GroupAdd"), i, n, item) {
		struct user found;
		char both[256];
		int r;

		(void)snprintf(both, sizeof(both), "0:%s", yyjson_get_str(item));
		r = users_lookup_in(s->rootfd, both, &found, e);
		if (r < 0)
			return err_wrap(e, "HostConfig.GroupAdd");
		yyjson_mut_arr_add_uint(s->doc, gids, found.gid);
	}
	return 0;
}

static yyjson_mut_val *make_rlimits(struct spec *s)
{
	yyjson_val *ulimits = yyjson_obj_get(s->host, "Ulimits");
	yyjson_mut_val *out = yyjson_mut_arr(s->doc);
	bool nofile = false;
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach (ulimits, i, n, item) {
		yyjson_mut_val *limit = yyjson_mut_arr_add_obj(s->doc, out);
		char type[64] = "RLIMIT_";

		for (size_t k = 0; spec_str(item, "Name")[k] && k < 40; k++)
			type[7 + k] = (char)(spec_str(item, "Name")[k] & ~0x20);
		nofile |= strcmp(type, "RLIMIT_NOFILE") == 0;
		yyjson_mut_obj_add_strcpy(s->doc, limit, "type", type);
		/* -1 is no limit; the spec has unsigned numbers */
		yyjson_mut_obj_add_uint(s->doc, limit, "hard", (uint64_t)spec_int(item, "Hard"));
		yyjson_mut_obj_add_uint(s->doc, limit, "soft", (uint64_t)spec_int(item, "Soft"));
	}
	if (!nofile) {
		yyjson_mut_val *limit = yyjson_mut_arr_add_obj(s->doc, out);
		struct rlimit own = {.rlim_max = NOFILE_HARD};

		/* An engine that may not raise limits hands on what it has. */
		(void)getrlimit(RLIMIT_NOFILE, &own);
		yyjson_mut_obj_add_str(s->doc, limit, "type", "RLIMIT_NOFILE");
		yyjson_mut_obj_add_uint(s->doc, limit, "hard",
			own.rlim_max < NOFILE_HARD ? own.rlim_max : NOFILE_HARD);
		yyjson_mut_obj_add_uint(s->doc, limit, "soft", NOFILE_SOFT);
	}
	return out;
}

static yyjson_mut_val *make_caps(struct spec *s)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	yyjson_mut_val *caps = yyjson_mut_obj(s->doc);

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		yyjson_mut_val *set = yyjson_mut_arr(s->doc);

		for (size_t k = 0; k < s->n_caps; k++)
			yyjson_mut_arr_add_str(s->doc, set, s->caps[k]);
		yyjson_mut_obj_add_val(s->doc, caps, sets[i], set);
	}
	return caps;
}

yyjson_mut_val *spec_process(struct spec *s, const struct spec_program *p, struct err *e)
{
	yyjson_mut_val *process = yyjson_mut_obj(s->doc);
	yyjson_mut_val *args = yyjson_mut_arr(s->doc);
	yyjson_mut_val *user_obj;
	struct user user;

	if (users_lookup_in(s->rootfd, p->user, &user, e) < 0)
		return NULL;
	user_obj = spec_user(s->doc, &user);
	if (add_groups(s, user_obj, e) < 0)
		return NULL;
	if (p->with_init) {
		yyjson_mut_arr_add_str(s->doc, args, SPEC_INIT_PATH);
		yyjson_mut_arr_add_str(s->doc, args, "--");
	}
	for (size_t i = 0; i < 2; i++)
		add_words(s->doc, args, p->words[i]);
	yyjson_mut_obj_add_bool(s->doc, process, "terminal", s->tty);
	yyjson_mut_obj_add_val(s->doc, process, "user", user_obj);
	yyjson_mut_obj_add_val(s->doc, process, "args", args);
	yyjson_mut_obj_add_val(s->doc, process, "env", make_env(s, p, &user));
	yyjson_mut_obj_add_str(s->doc, process, "cwd", p->cwd[0] ? p->cwd : "/");
	yyjson_mut_obj_add_val(s->doc, process, "capabilities", make_caps(s));
	yyjson_mut_obj_add_val(s->doc, process, "rlimits", make_rlimits(s));
	yyjson_mut_obj_add_int(s->doc, process, "oomScoreAdj", spec_int(s->host, "OomScoreAdj"));
	yyjson_mut_obj_add_bool(s->doc, process, "noNewPrivileges", s->no_new_privs);
	return process;
}

/* What is so anyway: the kernel has neither AppArmor nor SELinux. */
static bool asks_for_nothing(const char *word)
{
	static const char *const words[] = {
		"apparmor=unconfined", "apparmor:unconfined", "label=disable", "label:disable"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

/* --security-opt: each word is understood or refused. */
int spec_security(struct spec *s, struct err *e)
{
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach (yyjson_obj_get(s->host, "SecurityOpt"), i, n, item) {
		const char *word = yyjson_get_str(item);
		size_t key = strcspn(word, "=:");
		const char *value = word[key] ? word + key + 1 : "";

		if (strncmp(word, "no-new-privileges", key) == 0 && key == 17)
			s->no_new_privs = strcasecmp(value, "false") != 0;
		else if (strncmp(word, "seccomp", key) == 0 && key == 7)
			s->seccomp = value;
		else if (strcmp(word, "systempaths=unconfined") == 0)
			s->unmasked = true;
		else if (!asks_for_nothing(word))
			return err_set(e, EINVAL, "invalid --security-opt: \"%.100s\"", word);
	}
	return 0;
}

static yyjson_mut_val *make_sysctls(struct spec *s)
{
	yyjson_val *given = yyjson_obj_get(s->host, "Sysctls");
	yyjson_mut_val *out =
		yyjson_is_obj(given) ? yyjson_val_mut_copy(s->doc, given) : yyjson_mut_obj(s->doc);

	return out;
}

static yyjson_mut_val *make_linux(struct spec *s, struct err *e)
{
	yyjson_mut_val *out = yyjson_mut_obj(s->doc);
	yyjson_mut_val *ns = spec_namespaces(s, e);
	yyjson_val *masked = yyjson_obj_get(s->host, "MaskedPaths");
	yyjson_val *readonly = yyjson_obj_get(s->host, "ReadonlyPaths");
	yyjson_mut_val *resources;
	char cgroup[CONTAINER_ID_BYTES + 16];

	if (!ns)
		return NULL;
	(void)snprintf(cgroup, sizeof(cgroup), "/containers/%s", s->c->id);
	yyjson_mut_obj_add_strcpy(s->doc, out, "cgroupsPath", cgroup);
	resources = resources_spec(s->doc, s->host, e);
	if (!resources)
		return NULL;
	yyjson_mut_obj_add_val(s->doc, resources, "devices", spec_device_list(s));
	yyjson_mut_obj_add_val(s->doc, out, "resources", resources);
	yyjson_mut_obj_add_val(s->doc, out, "namespaces", ns);
	yyjson_mut_obj_add_val(s->doc, out, "sysctl", make_sysctls(s));
	if (s->devices)
		yyjson_mut_obj_add_val(s->doc, out, "devices", s->devices);
	if (s->root_propagation)
		yyjson_mut_obj_add_str(s->doc, out, "rootfsPropagation", s->root_propagation);
	if (!s->privileged && strcmp(s->seccomp, "unconfined") != 0) {
		/* What a client sends is a profile's text, the CLI having read the file. */
		bool own = s->seccomp[0] && strcmp(s->seccomp, "builtin") != 0;
		yyjson_mut_val *filter = spec_seccomp(s->doc, own ? s->seccomp : NULL,
			own ? strlen(s->seccomp) : 0, s->caps, s->n_caps, e);

		if (!filter)
			return NULL;
		yyjson_mut_obj_add_val(s->doc, out, "seccomp", filter);
	}
	if (!s->unmasked && yyjson_is_arr(masked))
		yyjson_mut_obj_add_val(
			s->doc, out, "maskedPaths", yyjson_val_mut_copy(s->doc, masked));
	if (!s->unmasked && yyjson_is_arr(readonly))
		yyjson_mut_obj_add_val(
			s->doc, out, "readonlyPaths", yyjson_val_mut_copy(s->doc, readonly));
	return out;
}

bool spec_with_init(const struct spec *s)
{
	/* Where others' processes are seen it is not the first one. */
	return yyjson_get_bool(yyjson_obj_get(s->host, "Init")) && !spec_str(s->host, "PidMode")[0];
}

static int fill(struct spec *s, struct err *e)
{
	yyjson_mut_val *top = yyjson_mut_obj(s->doc);
	yyjson_mut_val *root = yyjson_mut_obj(s->doc);
	const struct spec_program program = {
		.words = {yyjson_obj_get(s->config, "Entrypoint"),
			yyjson_obj_get(s->config, "Cmd")},
		.user = spec_str(s->config, "User"),
		.cwd = spec_str(s->config, "WorkingDir"),
		.with_init = spec_with_init(s),
	};
	yyjson_mut_val *process, *mounts, *linux_obj;
	char rootfs[4096];
	int r = spec_security(s, e);

	if (r == 0)
		r = spec_caps(s, e);
	if (r < 0)
		return r;
	yyjson_mut_doc_set_root(s->doc, top);
	process = spec_process(s, &program, e);
	mounts = process ? spec_mount_list(s, e) : NULL;
	linux_obj = mounts ? make_linux(s, e) : NULL;
	if (!linux_obj)
		return e ? -e->code : -EINVAL;
	container_path(s->en, s->c, "rootfs", rootfs, sizeof(rootfs));
	yyjson_mut_obj_add_str(s->doc, top, "ociVersion", "1.2.0");
	yyjson_mut_obj_add_val(s->doc, top, "process", process);
	yyjson_mut_obj_add_strcpy(s->doc, root, "path", rootfs);
	yyjson_mut_obj_add_bool(s->doc, root, "readonly",
		yyjson_get_bool(yyjson_obj_get(s->host, "ReadonlyRootfs")));
	yyjson_mut_obj_add_val(s->doc, top, "root", root);
	if (s->own_uts) {
		yyjson_mut_obj_add_str(s->doc, top, "hostname", spec_str(s->config, "Hostname"));
		if (spec_str(s->config, "Domainname")[0])
			yyjson_mut_obj_add_str(
				s->doc, top, "domainname", spec_str(s->config, "Domainname"));
	}
	yyjson_mut_obj_add_val(s->doc, top, "mounts", mounts);
	yyjson_mut_obj_add_val(s->doc, top, "linux", linux_obj);
	return 0;
}

int spec_write(struct engine *en, struct container *c, int rootfd, struct err *e)
{
	struct spec s = {
		.en = en,
		.c = c,
		.config = container_config(c),
		.host = container_host_config(c),
		.rootfd = rootfd,
		.seccomp = "",
		.doc = yyjson_mut_doc_new(NULL),
	};
	AUTO_CLOSE int fd = -1;
	char path[4096];
	char *text = NULL;
	size_t len = 0;
	int r;

	s.tty = yyjson_get_bool(yyjson_obj_get(s.config, "Tty"));
	s.privileged = yyjson_get_bool(yyjson_obj_get(s.host, "Privileged"));
	r = s.doc ? fill(&s, e) : err_set(e, ENOMEM, "out of memory");
	if (r == 0) {
		text = yyjson_mut_write(s.doc, 0, &len);
		container_path(en, c, "config.json", path, sizeof(path));
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		r = !text ? -ENOMEM : fd < 0 ? -errno : io_write_all(fd, text, len);
		if (r < 0)
			err_set(e, -r, "write config.json: %s", strerror(-r));
	}
	free(text);
	free(s.caps);
	yyjson_mut_doc_free(s.doc);
	return r;
}
