/* features and spec: what this runtime can do, and a configuration to start from. */
#include "runtime/oci/commands.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/oci/lsm.h"
#include "runtime/oci/names.h"
#include "runtime/oci/seccomp_names.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_seccomp(yyjson_mut_doc *doc, yyjson_mut_val *linux_obj)
{
	static const struct {
		const char *key;
		enum seccomp_table table;
	} lists[] = {
		{"actions", SECCOMP_ACTIONS},
		{"operators", SECCOMP_OPERATORS},
		{"archs", SECCOMP_ARCHES},
		{"knownFlags", SECCOMP_FLAGS},
		{"supportedFlags", SECCOMP_FLAGS},
	};
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, linux_obj, "seccomp");

	yyjson_mut_obj_add_bool(doc, o, "enabled", true);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, o, lists[i].key);

		for (const struct seccomp_name *n = seccomp_names(lists[i].table); n->name; n++)
			yyjson_mut_arr_add_str(doc, list, n->name);
	}
}

static void add_switch(yyjson_mut_doc *doc, yyjson_mut_val *parent, const char *key, bool enabled)
{
	yyjson_mut_obj_add_bool(doc, yyjson_mut_obj_add_obj(doc, parent, key), "enabled", enabled);
}

static void add_linux(yyjson_mut_doc *doc, yyjson_mut_val *top)
{
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, top, "linux");
	yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, o, "namespaces");
	yyjson_mut_val *cgroup;

	for (int t = 0; t < NS_N; t++)
		yyjson_mut_arr_add_str(doc, list, name_of_ns((enum ns_type)t));
	list = yyjson_mut_obj_add_arr(doc, o, "capabilities");
	for (int cap = 0; cap < CAP_NAMES_N; cap++)
		yyjson_mut_arr_add_str(doc, list, name_of_cap(cap));
	cgroup = yyjson_mut_obj_add_obj(doc, o, "cgroup");
	yyjson_mut_obj_add_bool(doc, cgroup, "v1", false);
	yyjson_mut_obj_add_bool(doc, cgroup, "v2", true);
	yyjson_mut_obj_add_bool(doc, cgroup, "systemd", false);
	yyjson_mut_obj_add_bool(doc, cgroup, "systemdUser", false);
	yyjson_mut_obj_add_bool(doc, cgroup, "rdma", true);
	add_seccomp(doc, o);
	add_switch(doc, o, "apparmor", access("/proc/self/attr/apparmor/exec", F_OK) == 0);
	add_switch(doc, o, "selinux", lsm_has_selinux());
	add_switch(doc, o, "intelRdt", false);
	add_switch(doc, yyjson_mut_obj_add_obj(doc, o, "mountExtensions"), "idmap", true);
	add_switch(doc, o, "netDevices", true);
}

int cmd_features(const struct globals *g, char **args, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *list;
	const char *name;
	char *text;
	int r = args_count(args, 0, 0, "features", e);

	(void)g;
	if (r < 0)
		return r;
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "ociVersionMin", "1.0.0");
	yyjson_mut_obj_add_str(doc, top, "ociVersionMax", "1.2.0");
	list = yyjson_mut_obj_add_arr(doc, top, "hooks");
	for (int k = 0; k < HOOK_N; k++)
		yyjson_mut_arr_add_str(doc, list, name_of_hook((enum hook_kind)k));
	list = yyjson_mut_obj_add_arr(doc, top, "mountOptions");
	for (size_t i = 0; (name = mount_option_name(i)); i++)
		yyjson_mut_arr_add_str(doc, list, name);
	add_linux(doc, top);
	text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY, NULL);
	yyjson_mut_doc_free(doc);
	if (!text)
		return err_set(e, ENOMEM, "out of memory");
	puts(text);
	free(text);
	return 0;
}

static const char default_config[] =
#include "runtime/oci/default_config.h"
	;

struct spec_options {
	const char *bundle;
};

static const struct option_spec spec_specs[] = {
	{"bundle", 'b', OPTION_STR, offsetof(struct spec_options, bundle), "where to write it"},
	{"rootless", 0, OPTION_REFUSE, 0, "is not supported"},
};

int cmd_spec(const struct globals *g, char **args, struct err *e)
{
	struct spec_options opts = {.bundle = "."};
	AUTO_CLOSE int dir = -1;
	AUTO_CLOSE int fd = -1;
	int r = options_parse(FIELDS(spec_specs), args, &opts, &args, e);

	(void)g;
	if (r == 0)
		r = args_count(args, 0, 0, "spec [--bundle DIR]", e);
	if (r < 0)
		return r;
	dir = open(opts.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(e, errno, "make %s/config.json: %s", opts.bundle, strerror(errno));
	r = io_write_all(fd, default_config, sizeof(default_config) - 1);
	return r < 0 ? err_set(e, -r, "write config.json: %s", strerror(-r)) : 0;
}
