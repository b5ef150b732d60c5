/*
 * A new file system for a mount, by fsopen, fsconfig and fsmount: detached, and attached by the
 * caller. Options go to the kernel one by one, so that what it refuses can be named.
 */
#include "runtime/oci/container.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/newfs.h"
#include "runtime/oci/lsm.h"

#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Version 2 has no hierarchies to name, and its few options would change the host's too. */
static bool takes_options(const struct config_mount *m)
{
	return strcmp(m->type, "cgroup") != 0;
}

static int set_options(int fs, const struct config_mount *m, size_t i, struct err *e)
{
	char why[256];

	for (size_t k = 0; takes_options(m) && k < m->options.data.n; k++) {
		const char *word = m->options.data.v[k];
		int r = newfs_option(fs, m->type, word);

		if (r < 0) {
			newfs_log(fs, why, sizeof(why));
			return err_set(e, -r, "mounts[%zu].options: \"%s\": %s%s%s", i, word,
				strerror(-r), why[0] ? ": " : "", why);
		}
	}
	return 0;
}

static int run_command(int fs, unsigned cmd, const struct config_mount *m, size_t i, struct err *e)
{
	char why[256];
	int saved;

	if (sys_fsconfig(fs, cmd, NULL, NULL, 0) == 0)
		return 0;
	saved = errno;
	newfs_log(fs, why, sizeof(why));
	return err_set(e, saved, "mounts[%zu]: mount %s: %s%s%s", i, m->type ? m->type : "",
		strerror(saved), why[0] ? ": " : "", why);
}

/* Engines write version 1's name for whatever the host has. */
static const char *fs_type(const struct config_mount *m)
{
	return strcmp(m->type, "cgroup") == 0 ? "cgroup2" : m->type;
}

/* A tmpfs over a directory has that one's mode, as in runc, where the options name none: /tmp stays
 * everybody's and /run stays root's. */
static int keep_mode(int fs, const struct config_mount *m, int covered)
{
	struct stat st;
	char mode[16];

	if (covered < 0 || strcmp(m->type, "tmpfs") != 0 || mount_has_data(m, "mode"))
		return 0;
	if (fstat(covered, &st) < 0)
		return -errno;
	snprintf(mode, sizeof(mode), "%o", (unsigned)st.st_mode & 07777);
	return newfs_set(fs, "mode", mode);
}

bool mount_has_data(const struct config_mount *m, const char *key)
{
	size_t len = strlen(key);

	for (size_t k = 0; k < m->options.data.n; k++) {
		if (strncmp(m->options.data.v[k], key, len) == 0 &&
			m->options.data.v[k][len] == '=')
			return true;
	}
	return false;
}

int mount_new(const struct config *c, size_t i, int covered, struct err *e)
{
	const struct config_mount *m = &c->mounts[i];
	AUTO_CLOSE int fs = sys_fsopen(fs_type(m), FSOPEN_CLOEXEC);
	const struct mount_options *o = &m->options;
	uint64_t attrs = mount_attributes(o);
	AUTO_CLOSE int fd = -1;
	int r;

	if (fs < 0)
		return err_set(e, errno, "mounts[%zu].type: %s: %s", i, m->type, strerror(errno));
	if (m->source && sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", m->source, 0) < 0)
		return err_set(
			e, errno, "mounts[%zu].source: %s: %s", i, m->source, strerror(errno));
	r = keep_mode(fs, m, covered);
	if (r < 0)
		return err_set(
			e, -r, "mounts[%zu]: the mode of %s: %s", i, m->destination, strerror(-r));
	r = lsm_label_new(fs, m->type, c->mount_label);
	if (r < 0)
		return err_set(e, -r, "linux.mountLabel: mounts[%zu]: %s: %s", i, c->mount_label,
			strerror(-r));
	r = set_options(fs, m, i, e);
	if (r == 0)
		r = run_command(fs, FSCONFIG_CMD_CREATE, m, i, e);
	if (r < 0)
		return r;
	/* What is copied into it comes before it is read-only. */
	if (o->tmpcopyup)
		attrs &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	fd = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attrs);
	/* The kernel's mount_too_revealing(). */
	if (fd < 0 && errno == EPERM && strcmp(m->type, "proc") == 0)
		return err_set(e, EPERM,
			"mounts[%zu]: mount proc: %s: a new one would show what is covered in the "
			"/proc around this runtime",
			i, strerror(EPERM));
	if (fd < 0)
		return err_set(e, errno, "mounts[%zu]: mount %s: %s", i, m->type, strerror(errno));
	r = lsm_label_made(fd, m->type, c->mount_label);
	return r < 0 ? err_set(e, -r, "linux.mountLabel: mounts[%zu]: %s: %s", i, c->mount_label,
			       strerror(-r))
		     : TAKE_FD(fd);
}

int mount_again(const struct config_mount *m, size_t i, int target, struct err *e)
{
	AUTO_CLOSE int fs = -1;
	int r = mount_apply(target, &m->options);

	if (r < 0)
		return err_set(e, -r, "mounts[%zu].options: \"remount\": %s: %s", i, m->destination,
			r == -EINVAL ? "nothing is mounted there" : strerror(-r));
	if (m->options.data.n == 0)
		return 0;
	fs = sys_fspick(target, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	if (fs < 0)
		return err_set(e, errno, "mounts[%zu].options: \"remount\": %s: %s", i,
			m->destination, strerror(errno));
	r = set_options(fs, m, i, e);
	return r < 0 ? r : run_command(fs, FSCONFIG_CMD_RECONFIGURE, m, i, e);
}
