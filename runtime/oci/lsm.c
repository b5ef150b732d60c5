#include "runtime/oci/lsm.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static bool given(const char *s)
{
	return s && s[0];
}

bool lsm_has_selinux(void)
{
	struct statfs fs;

	return statfs("/sys/fs/selinux", &fs) == 0 && fs.f_type == SELINUX_MAGIC;
}

static int label_exec_apparmor(int host_proc, const char *profile, struct err *e)
{
	char line[512];
	int r;

	if ((size_t)snprintf(line, sizeof(line), "exec %s", profile) >= sizeof(line))
		return err_set(e, ENAMETOOLONG, "process.apparmorProfile: %s", profile);
	r = io_write_file_at(host_proc, "self/attr/apparmor/exec", line);
	if (r == -ENOENT && strcmp(profile, "unconfined") == 0)
		return 0; /* everything is */
	if (r == -ENOENT)
		return err_set(e, ENOTSUP,
			"process.apparmorProfile: AppArmor is not available in this kernel");
	return r < 0 ? err_set(e, -r, "process.apparmorProfile: %s: %s", profile, strerror(-r)) : 0;
}

int lsm_label_exec(int host_proc, const struct config_process *p, struct err *e)
{
	int r = given(p->apparmor_profile) ? label_exec_apparmor(host_proc, p->apparmor_profile, e)
					   : 0;

	if (r < 0 || !given(p->selinux_label))
		return r;
	/* Without SELinux the file may be another module's. */
	if (!lsm_has_selinux())
		return err_set(e, ENOTSUP,
			"process.selinuxLabel: SELinux is not available in this kernel");
	r = io_write_file_at(host_proc, "self/attr/exec", p->selinux_label);
	return r < 0 ? err_set(e, -r, "process.selinuxLabel: %s: %s", p->selinux_label,
			       strerror(-r))
		     : 0;
}

int lsm_label_keys(int host_proc, const struct config_process *p, struct err *e)
{
	int r;

	if (!given(p->selinux_label))
		return 0;
	r = io_write_file_at(host_proc, "self/attr/keycreate", p->selinux_label);
	return r < 0 ? err_set(e, -r, "process.selinuxLabel: %s: label keys: %s", p->selinux_label,
			       strerror(-r))
		     : 0;
}

/* How the files of a type get their label; the kernel knows by itself what those of its own are. */
enum labelling { LABEL_CONTEXT, LABEL_NEVER, LABEL_ROOT };

static enum labelling labelling_of(const char *type)
{
	static const struct {
		const char *type;
		enum labelling how;
	} kinds[] = {
		{"proc", LABEL_NEVER},
		{"sysfs", LABEL_NEVER},
		{"cgroup", LABEL_NEVER},
		{"cgroup2", LABEL_NEVER},
		{"mqueue", LABEL_ROOT},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(type, kinds[i].type) == 0)
			return kinds[i].how;
	}
	return LABEL_CONTEXT;
}

int lsm_label_new(int fs, const char *type, const char *label)
{
	if (!given(label) || labelling_of(type) != LABEL_CONTEXT)
		return 0;
	return sys_fsconfig(fs, FSCONFIG_SET_STRING, "context", label, 0) < 0 ? -errno : 0;
}

int lsm_label_made(int mount, const char *type, const char *label)
{
	AUTO_CLOSE int root = -1;

	if (!given(label) || labelling_of(type) != LABEL_ROOT)
		return 0;
	root = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	return fsetxattr(root, "security.selinux", label, strlen(label) + 1, 0) < 0 ? -errno : 0;
}
