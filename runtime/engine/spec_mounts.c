/* Mounts of a container: Docker's own, its files in /etc, binds, tmpfs. */
#include "lib/base/io.h"
#include "lib/base/fd.h"
#include "runtime/engine/spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static yyjson_mut_val *add_mount(struct spec *s, yyjson_mut_val *out, const char *type,
	const char *source, const char *destination, const char *const *options)
{
	yyjson_mut_val *m = yyjson_mut_arr_add_obj(s->doc, out);
	yyjson_mut_val *words = yyjson_mut_arr(s->doc);

	yyjson_mut_obj_add_strcpy(s->doc, m, "destination", destination);
	yyjson_mut_obj_add_str(s->doc, m, "type", type);
	yyjson_mut_obj_add_strcpy(s->doc, m, "source", source);
	for (; options && *options; options++)
		yyjson_mut_arr_add_strcpy(s->doc, words, *options);
	yyjson_mut_obj_add_val(s->doc, m, "options", words);
	return words;
}

static int write_file(struct spec *s, const char *name, const char *text, struct err *e)
{
	char path[4096];
	AUTO_CLOSE int fd = -1;
	int r;

	container_path(s->en, s->c, name, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : io_write_all(fd, text, strlen(text));
	return r < 0 ? err_set(e, -r, "write %s: %s", path, strerror(-r)) : 0;
}

static int hosts_text(struct spec *s, struct buf *b)
{
	bool host_net = strcmp(spec_str(s->host, "NetworkMode"), "host") == 0;
	yyjson_val *item;
	size_t i, n;
	int r = buf_add_str(b, "127.0.0.1\tlocalhost\n"
			       "::1\tlocalhost ip6-localhost ip6-loopback\n"
			       "fe00::\tip6-localnet\nff00::\tip6-mcastprefix\n"
			       "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n");

	yyjson_arr_foreach (yyjson_obj_get(s->host, "ExtraHosts"), i, n, item) {
		const char *word = yyjson_get_str(item);
		size_t name = strcspn(word, ":=");

		if (r == 0 && word[name])
			r = buf_printf(b, "%s\t%.*s\n", word + name + 1, (int)name, word);
	}
	if (r == 0 && !host_net)
		r = buf_printf(b, "127.0.0.1\t%s\n", spec_str(s->config, "Hostname"));
	return r;
}

/* resolv.conf: what was given, the rest as the host has it. */
static int resolv_text(struct spec *s, struct buf *b)
{
	static const struct {
		const char *field, *word;
	} lists[] = {{"DnsSearch", "search"}, {"DnsOptions", "options"}};
	yyjson_val *servers = yyjson_obj_get(s->host, "Dns");
	yyjson_val *item;
	size_t i, n;
	int r = 0;

	if (yyjson_arr_size(servers) == 0) {
		char text[8192];
		ssize_t len = io_read_file_at(AT_FDCWD, "/etc/resolv.conf", text, sizeof(text));

		if (len > 0)
			r = buf_add(b, text, (size_t)len);
	}
	yyjson_arr_foreach (servers, i, n, item)
		if (r == 0)
			r = buf_printf(b, "nameserver %s\n", yyjson_get_str(item));
	for (size_t k = 0; r == 0 && k < 2; k++) {
		yyjson_val *list = yyjson_obj_get(s->host, lists[k].field);

		if (yyjson_arr_size(list) == 0)
			continue;
		r = buf_add_str(b, lists[k].word);
		yyjson_arr_foreach (list, i, n, item)
			if (r == 0)
				r = buf_printf(b, " %s", yyjson_get_str(item));
		if (r == 0)
			r = buf_add_str(b, "\n");
	}
	return r;
}

static int hostname_text(struct spec *s, struct buf *b)
{
	return buf_printf(b, "%s\n", spec_str(s->config, "Hostname"));
}

/* The files of the container's own in /etc, which outlive it and show where inspect says. */
static int add_etc_files(struct spec *s, yyjson_mut_val *out, struct err *e)
{
	static const char *const options[] = {"rbind", "rprivate", NULL};
	static const struct {
		const char *name;
		int (*text)(struct spec *s, struct buf *b);
	} files[] = {
		{"resolv.conf", resolv_text}, {"hostname", hostname_text}, {"hosts", hosts_text}};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		AUTO_BUF struct buf text = {0};
		char destination[64];
		char path[4096];
		int r = buf_add_str(&text, "");

		if (r == 0)
			r = files[i].text(s, &text);
		if (r < 0)
			return err_set(e, -r, "out of memory");
		r = write_file(s, files[i].name, text.v, e);
		if (r < 0)
			return r;
		container_path(s->en, s->c, files[i].name, path, sizeof(path));
		(void)snprintf(destination, sizeof(destination), "/etc/%s", files[i].name);
		(void)add_mount(s, out, "bind", path, destination, options);
	}
	return 0;
}

/* What stands between the colons of a bind's mode: each word for the runtime, or refused. */
static int bind_option(const char *word, size_t len, const char **ret)
{
	static const struct {
		const char *word, *option;
	} known[] = {
		{"ro", "ro"},
		{"rw", "rw"},
		{"rshared", "rshared"},
		{"shared", "shared"},
		{"rslave", "rslave"},
		{"slave", "slave"},
		{"rprivate", "rprivate"},
		{"private", "private"},
		{"z", NULL},
		{"Z", NULL},
		{"cached", NULL},
		{"delegated", NULL},
		{"consistent", NULL},
		{"nocopy", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].word) == len && strncmp(known[i].word, word, len) == 0) {
			*ret = known[i].option;
			return 0;
		}
	}
	return -EINVAL;
}

/* "SOURCE:DESTINATION[:MODE]" of HostConfig.Binds. */
static int add_bind(struct spec *s, yyjson_mut_val *out, const char *bind, struct err *e)
{
	static const char *const options[] = {"rbind", NULL};
	const char *colon = strchr(bind, ':');
	const char *mode = colon ? strchr(colon + 1, ':') : NULL;
	bool propagation = false;
	yyjson_mut_val *words;
	char source[4096];
	char destination[4096];

	if (!colon || bind[0] != '/' || colon[1] != '/')
		return err_set(e, ENOTSUP,
			"HostConfig.Binds: \"%.200s\": only /host/path:/container/path is served "
			"yet",
			bind);
	(void)snprintf(source, sizeof(source), "%.*s", (int)(colon - bind), bind);
	(void)snprintf(destination, sizeof(destination), "%.*s",
		(int)(mode ? mode - colon - 1 : (ptrdiff_t)strlen(colon + 1)), colon + 1);
	/* As Docker: a directory that is not there is made. */
	if (mkdir(source, 0755) < 0 && errno != EEXIST)
		return err_set(e, errno, "HostConfig.Binds: %.200s: %s", source, strerror(errno));
	words = add_mount(s, out, "bind", source, destination, options);
	while (mode && *mode) {
		const char *word = mode + 1;
		size_t len = strcspn(word, ",:");
		const char *option = NULL;

		if (bind_option(word, len, &option) < 0)
			return err_set(e, EINVAL, "invalid mode: %.64s", word);
		if (option)
			yyjson_mut_arr_add_str(s->doc, words, option);
		propagation |= option && option[0] == 'r' && option[1] != 'o' && option[1] != 'w';
		mode = word + len;
	}
	if (!propagation)
		yyjson_mut_arr_add_str(s->doc, words, "rprivate");
	return 0;
}

/* HostConfig.Mounts of type bind and tmpfs. */
static int add_given(struct spec *s, yyjson_mut_val *out, yyjson_val *m, struct err *e)
{
	static const char *const bind_words[] = {"rbind", "rprivate", NULL};
	static const char *const tmpfs_words[] = {"nosuid", "nodev", "noexec", NULL};
	const char *type = spec_str(m, "Type");
	const char *target = spec_str(m, "Target");
	yyjson_val *tmpfs = yyjson_obj_get(m, "TmpfsOptions");
	const char *propagation = spec_str(yyjson_obj_get(m, "BindOptions"), "Propagation");
	yyjson_mut_val *words;
	char option[64];
	struct stat st;

	if (target[0] != '/')
		return err_set(e, EINVAL,
			"invalid mount config for type \"%s\": mount path must be absolute: "
			"\"%.200s\"",
			type, target);
	if (strcmp(type, "bind") == 0) {
		if (stat(spec_str(m, "Source"), &st) < 0)
			return err_set(e, EINVAL,
				"invalid mount config for type \"bind\": bind source path does not "
				"exist: %s",
				spec_str(m, "Source"));
		words = add_mount(s, out, "bind", spec_str(m, "Source"), target, bind_words);
		if (propagation[0])
			yyjson_mut_arr_add_str(s->doc, words, propagation);
	} else if (strcmp(type, "tmpfs") == 0) {
		words = add_mount(s, out, "tmpfs", "tmpfs", target, tmpfs_words);
		if (spec_int(tmpfs, "SizeBytes")) {
			(void)snprintf(option, sizeof(option), "size=%lld",
				(long long)spec_int(tmpfs, "SizeBytes"));
			yyjson_mut_arr_add_strcpy(s->doc, words, option);
		}
		if (spec_int(tmpfs, "Mode")) {
			(void)snprintf(option, sizeof(option), "mode=%o",
				(unsigned)spec_int(tmpfs, "Mode"));
			yyjson_mut_arr_add_strcpy(s->doc, words, option);
		}
	} else {
		return err_set(
			e, ENOTSUP, "HostConfig.Mounts: type \"%.32s\" is not served yet", type);
	}
	if (yyjson_get_bool(yyjson_obj_get(m, "ReadOnly")))
		yyjson_mut_arr_add_str(s->doc, words, "ro");
	return 0;
}

/* HostConfig.Tmpfs: "/run": "size=64m,mode=755" */
static void add_tmpfs(struct spec *s, yyjson_mut_val *out, const char *target, const char *given)
{
	static const char *const always[] = {"nosuid", "nodev", "noexec", NULL};
	yyjson_mut_val *words = add_mount(s, out, "tmpfs", "tmpfs", target, always);

	while (given && *given) {
		size_t len = strcspn(given, ",");

		if (len)
			yyjson_mut_arr_add_strncpy(s->doc, words, given, len);
		given += len + (given[len] == ',');
	}
}

/* Docker's own mounts, with what the host config changes of them. */
static yyjson_mut_val *default_mounts(struct spec *s)
{
	yyjson_mut_val *all = spec_mounts(s->doc);
	yyjson_mut_val *out = yyjson_mut_arr(s->doc);
	const char *ipc = spec_str(s->host, "IpcMode");
	char size[48];
	yyjson_mut_val *m;
	size_t i, n;

	(void)snprintf(size, sizeof(size), "size=%lld", (long long)spec_int(s->host, "ShmSize"));
	yyjson_mut_arr_foreach (all, i, n, m) {
		const char *destination = yyjson_mut_get_str(yyjson_mut_obj_get(m, "destination"));
		yyjson_mut_val *copy = yyjson_mut_val_mut_copy(s->doc, m);
		yyjson_mut_val *options = yyjson_mut_obj_get(copy, "options");

		if (strcmp(destination, "/dev/shm") == 0) {
			if (strcmp(ipc, "host") == 0 || strcmp(ipc, "none") == 0)
				continue;
			yyjson_mut_arr_remove_last(options);
			yyjson_mut_arr_add_strcpy(s->doc, options, size);
		}
		if (s->privileged && strncmp(destination, "/sys", 4) == 0) {
			yyjson_mut_val *word;
			size_t k, words;
			size_t at = (size_t)-1;

			yyjson_mut_arr_foreach (options, k, words, word)
				if (yyjson_mut_equals_str(word, "ro"))
					at = k;
			if (at != (size_t)-1)
				yyjson_mut_arr_remove(options, at);
		}
		yyjson_mut_arr_append(out, copy);
	}
	return out;
}

/* HostConfig.Init: the program's parent comes from the host, where Docker has it. */
static int add_init(struct spec *s, yyjson_mut_val *out, struct err *e)
{
	static const char *const options[] = {"bind", "ro", NULL};
	const char *path = s->en->paths.docker_init;

	if (access(path, X_OK) < 0)
		return err_set(e, errno, "HostConfig.Init: %s: %s", path, strerror(errno));
	(void)add_mount(s, out, "bind", path, SPEC_INIT_PATH, options);
	return 0;
}

yyjson_mut_val *spec_mount_list(struct spec *s, struct err *e)
{
	yyjson_val *tmpfs = yyjson_obj_get(s->host, "Tmpfs");
	yyjson_mut_val *out = default_mounts(s);
	yyjson_val *key, *item;
	size_t i, n;
	int r = add_etc_files(s, out, e);

	if (r == 0 && spec_with_init(s))
		r = add_init(s, out, e);
	yyjson_arr_foreach (yyjson_obj_get(s->host, "Binds"), i, n, item)
		if (r == 0)
			r = add_bind(s, out, yyjson_get_str(item), e);
	yyjson_arr_foreach (yyjson_obj_get(s->host, "Mounts"), i, n, item)
		if (r == 0)
			r = add_given(s, out, item, e);
	if (tmpfs)
		yyjson_obj_foreach (tmpfs, i, n, key, item)
			add_tmpfs(s, out, yyjson_get_str(key), yyjson_get_str(item));
	return r < 0 ? NULL : out;
}
