/* spec: a configuration to start from. */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static const char default_config[] =
#include "runtime/oci/default_config.h"
	;

struct spec_options {
	const char *bundle;
	bool rootless;
};

static const struct option_spec spec_specs[] = {
	{"bundle", 'b', OPTION_STR, offsetof(struct spec_options, bundle), "where to write it"},
	{"rootless", 0, OPTION_FLAG, offsetof(struct spec_options, rootless),
		"for a user who is not root"},
};

static void remove_named(yyjson_mut_val *list, const char *key, const char *value)
{
	size_t i = 0;

	while (i < yyjson_mut_arr_size(list)) {
		yyjson_mut_val *item = yyjson_mut_arr_get(list, i);

		if (yyjson_mut_equals_str(yyjson_mut_obj_get(item, key), value))
			yyjson_mut_arr_remove(list, i);
		else
			i++;
	}
}

static void add_map(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, uint32_t host)
{
	yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, obj, key);
	yyjson_mut_val *map = yyjson_mut_arr_add_obj(doc, list);

	yyjson_mut_obj_add_uint(doc, map, "containerID", 0);
	yyjson_mut_obj_add_uint(doc, map, "hostID", host);
	yyjson_mut_obj_add_uint(doc, map, "size", 1);
}

/* sysfs belongs to a network namespace, and the host's is kept: its /sys is bound instead. */
static void bind_sys(yyjson_mut_doc *doc, yyjson_mut_val *mount)
{
	static const char *const words[] = {"rbind", "nosuid", "noexec", "nodev", "ro"};
	yyjson_mut_val *options = yyjson_mut_arr(doc);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		yyjson_mut_arr_add_str(doc, options, words[i]);
	yyjson_mut_obj_put(mount, yyjson_mut_str(doc, "type"), yyjson_mut_str(doc, "none"));
	yyjson_mut_obj_put(mount, yyjson_mut_str(doc, "source"), yyjson_mut_str(doc, "/sys"));
	yyjson_mut_obj_put(mount, yyjson_mut_str(doc, "options"), options);
}

/* What an ordinary user may have: one id, no network of its own, no limits. */
static void make_rootless(yyjson_mut_doc *doc)
{
	yyjson_mut_val *top = yyjson_mut_doc_get_root(doc);
	yyjson_mut_val *linux_obj = yyjson_mut_obj_get(top, "linux");
	yyjson_mut_val *namespaces = yyjson_mut_obj_get(linux_obj, "namespaces");
	yyjson_mut_val *mounts = yyjson_mut_obj_get(top, "mounts");
	yyjson_mut_val *mount;
	size_t i;
	size_t n;

	remove_named(namespaces, "type", "network");
	yyjson_mut_obj_add_str(doc, yyjson_mut_arr_add_obj(doc, namespaces), "type", "user");
	add_map(doc, linux_obj, "uidMappings", getuid());
	add_map(doc, linux_obj, "gidMappings", getgid());
	yyjson_mut_obj_remove_key(linux_obj, "resources");
	remove_named(mounts, "destination", "/sys/fs/cgroup");
	yyjson_mut_arr_foreach (mounts, i, n, mount) {
		yyjson_mut_val *options = yyjson_mut_obj_get(mount, "options");

		if (yyjson_mut_equals_str(yyjson_mut_obj_get(mount, "destination"), "/sys"))
			bind_sys(doc, mount);
		/* Group 5 is not mapped. */
		for (size_t k = yyjson_mut_arr_size(options); k-- > 0;) {
			if (yyjson_mut_equals_str(yyjson_mut_arr_get(options, k), "gid=5"))
				yyjson_mut_arr_remove(options, k);
		}
	}
}

static char *rootless_config(size_t *ret_len)
{
	yyjson_doc *from = yyjson_read(default_config, sizeof(default_config) - 1, 0);
	yyjson_mut_doc *doc = yyjson_doc_mut_copy(from, NULL);
	char *text = NULL;

	if (doc) {
		make_rootless(doc);
		text = yyjson_mut_write(
			doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, ret_len);
	}
	yyjson_mut_doc_free(doc);
	yyjson_doc_free(from);
	return text;
}

static int write_config(const char *bundle, const char *text, size_t len, struct err *e)
{
	AUTO_CLOSE int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int fd = -1;
	int r;

	if (dir >= 0)
		fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(e, errno, "make %s/config.json: %s", bundle, strerror(errno));
	r = io_write_all(fd, text, len);
	return r < 0 ? err_set(e, -r, "write config.json: %s", strerror(-r)) : 0;
}

int cmd_spec(const struct globals *g, char **args, struct err *e)
{
	struct spec_options opts = {.bundle = "."};
	size_t len = sizeof(default_config) - 1;
	char *text = NULL;
	int r = options_parse_mixed(FIELDS(spec_specs), args, &opts, &args, e);

	(void)g;
	if (r == 0)
		r = args_count(args, 0, 0, "spec [--rootless] [--bundle DIR]", e);
	if (r == 0 && opts.rootless) {
		text = rootless_config(&len);
		r = text ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	if (r == 0)
		r = write_config(opts.bundle, text ? text : default_config, len, e);
	free(text);
	return r;
}
