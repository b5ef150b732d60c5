/* features: what this runtime can do. Source: OCI runtime-spec 1.2 features.md, features-linux.md.
 */
#include "runtime/oci/commands.h"

#include "runtime/oci/names.h"
#include "runtime/oci/seccomp_names.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A flag that the kernel knows gets as far as the filter, of which there is none. */
static bool kernel_has_flag(uint32_t flag)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL) < 0 && errno == EFAULT;
}

/*
 * Would `create` take a configuration with this? The check itself is asked, so that what stands
 * here cannot differ from what happens.
 * @mount: members of a bind mount; @linux_members: of "linux"; both begin with a comma or are ""
 */
static bool accepts(const char *mount, const char *linux_members)
{
	static const char format[] =
		"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},"
		"\"process\":{\"cwd\":\"/\",\"args\":[\"sh\"],\"user\":{\"uid\":0,\"gid\":0}},"
		"\"mounts\":[{\"destination\":\"/mnt\",\"source\":\"/mnt\",\"type\":\"bind\","
		"\"options\":[\"bind\"]%s}],\"linux\":{\"namespaces\":[{\"type\":\"mount\"},"
		"{\"type\":\"network\"}]%s}}";
	struct config c = {0};
	struct err e = {0};
	size_t size = sizeof(format) + strlen(mount) + strlen(linux_members);
	char *text = malloc(size + YYJSON_PADDING_SIZE);
	bool ok = false;

	if (text) {
		int len = snprintf(text, size, format, mount, linux_members);

		ok = config_parse(&c, text, (size_t)len, NULL, NULL, &e) == 0 &&
		     config_check(&c, &e) == 0;
	}
	config_free(&c);
	return ok;
}

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
	};
	yyjson_mut_val *supported;
	yyjson_mut_val *o = yyjson_mut_obj_add_obj(doc, linux_obj, "seccomp");

	yyjson_mut_obj_add_bool(doc, o, "enabled", true);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, o, lists[i].key);

		for (const struct seccomp_name *n = seccomp_names(lists[i].table); n->name; n++)
			yyjson_mut_arr_add_str(doc, list, n->name);
	}
	supported = yyjson_mut_obj_add_arr(doc, o, "supportedFlags");
	for (const struct seccomp_name *n = seccomp_names(SECCOMP_FLAGS); n->name; n++) {
		if (kernel_has_flag(n->value))
			yyjson_mut_arr_add_str(doc, supported, n->name);
	}
}

static void add_switch(yyjson_mut_doc *doc, yyjson_mut_val *parent, const char *key, bool enabled)
{
	yyjson_mut_obj_add_bool(doc, yyjson_mut_obj_add_obj(doc, parent, key), "enabled", enabled);
}

#define ONE_ID "{\"containerID\":0,\"hostID\":1000,\"size\":1}"

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
	add_switch(doc, o, "selinux", accepts("", ",\"mountLabel\":\"label\""));
	add_switch(doc, o, "intelRdt", accepts("", ",\"intelRdt\":{\"closID\":\"c\"}"));
	add_switch(doc, yyjson_mut_obj_add_obj(doc, o, "mountExtensions"), "idmap",
		accepts(",\"uidMappings\":[" ONE_ID "],\"gidMappings\":[" ONE_ID "]", ""));
	add_switch(doc, o, "netDevices", accepts("", ",\"netDevices\":{\"eth0\":{}}"));
}

int cmd_features(const struct globals *g, char **args, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *list;
	const char *name;
	char *text;
	int r = options_parse_mixed(NULL, 0, args, NULL, &args, e);

	(void)g;
	if (r == 0)
		r = args_count(args, 0, 0, "features", e);
	if (r < 0)
		return r;
	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "ociVersionMin", "1.0.0");
	yyjson_mut_obj_add_str(doc, top, "ociVersionMax", OCI_VERSION);
	list = yyjson_mut_obj_add_arr(doc, top, "hooks");
	for (int k = 0; k < HOOK_N; k++)
		yyjson_mut_arr_add_str(doc, list, name_of_hook((enum hook_kind)k));
	list = yyjson_mut_obj_add_arr(doc, top, "mountOptions");
	for (size_t i = 0; (name = mount_option_name(i)); i++)
		yyjson_mut_arr_add_str(doc, list, name);
	add_linux(doc, top);
	/* By this name engines ask every runtime whether they can offer checkpoints. */
	yyjson_mut_obj_add_str(doc, yyjson_mut_obj_add_obj(doc, top, "annotations"),
		"org.opencontainers.runc.checkpoint.enabled", "true");
	/* No annotation changes what this runtime does. */
	yyjson_mut_obj_add_arr(doc, top, "potentiallyUnsafeConfigAnnotations");
	text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY, NULL);
	yyjson_mut_doc_free(doc);
	if (!text)
		return err_set(e, ENOMEM, "out of memory");
	puts(text);
	free(text);
	return 0;
}
