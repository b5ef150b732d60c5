/*
 * The container's cgroup (version 2): made before its process, removed after it.
 * Source: kernel admin-guide/cgroup-v2.rst; OCI config-linux.md "Control groups".
 */
#ifndef SAMPAN_OCI_CGROUP_H
#define SAMPAN_OCI_CGROUP_H

#include "lib/util/cgfile.h"
#include "runtime/oci/config.h"

#include <sys/types.h>

/* bytes: a cgroup's path below the cgroup2 mount */
#define CGROUP_PATH_MAX 1024

/*
 * Where relative paths start: the root of the mount for who may write there (""), else the nearest
 * cgroup from the caller's own upwards that is delegated to him, but not farther than one step.
 * Returns 0; -EACCES if there is none.
 */
int cgroup_base(int rootfd, char buf[static CGROUP_PATH_MAX]);

/*
 * The path below the cgroup2 mount of container @id: linux.cgroupsPath as it is if that is
 * absolute, else BASE/containers/ with it or, without one, the id behind.
 * Returns 0; -EINVAL for one with "..", or in systemd's slice:prefix:name form.
 */
int cgroup_path(const char *base, const char *cgroups_path, const char *id,
	char buf[static CGROUP_PATH_MAX], struct err *e);

/*
 * Make the cgroup @path, with the controllers enabled that @res needs.
 * Returns its directory, owned by the caller, or -errno with @e filled.
 */
int cgroup_make(int rootfd, const char *path, const struct config_resources *res, struct err *e);

/*
 * Give the cgroup to a user: its directory and the files that the kernel says may be delegated. Its
 * limits stay the owner's.
 * Returns 0; -EPERM when the caller may not give it away; otherwise -errno.
 * Source: cgroup-v2.rst "Model of Delegation".
 */
int cgroup_delegate(int cgroupfd, uid_t uid, gid_t gid);

/* Does it exist and hold a process, itself or below? 1, 0 or -errno. */
int cgroup_populated(int rootfd, const char *path);

/* What limits were before they were written; {0} when nothing was. */
struct cgroup_undo {
	struct cgroup_undo_line {
		char *file;
		char *text; /* what is to be written there */
	} * v;
	size_t n;
};

/*
 * Remember what @file holds, in the line that begins with the first word of @text where such a line
 * is a device's.
 * @undo: NULL: nobody will ask
 * Returns 0, also when there is no such file; otherwise -errno.
 */
int cgroup_undo_note(struct cgroup_undo *undo, int cgroupfd, const char *file, const char *text);

/* Write back all of it, the last first. What the kernel refuses stays as it is. */
void cgroup_undo_all(const struct cgroup_undo *undo, int cgroupfd);

void cgroup_undo_free(struct cgroup_undo *undo);

/*
 * Write every limit of @res.
 * @undo: gets what was there before each write, also when this fails; NULL: nobody will ask
 * Returns 0 or -errno with @e naming the JSON path.
 */
int cgroup_set_limits(
	int cgroupfd, const struct config_resources *res, struct cgroup_undo *undo, struct err *e);

/* Attach the device filter of @res. Returns 0 or -errno with @e filled. */
int cgroup_set_devices(int cgroupfd, const struct config_resources *res, struct err *e);

/* As cgroup_set_devices, for a cgroup that may have a filter: the new one takes its place in one
 * step (BPF_F_REPLACE, Linux 5.6), so that at no time there is none, or both. */
int cgroup_replace_devices(int cgroupfd, const struct config_resources *res, struct err *e);

/* memory.checkBeforeUpdate: refuse a limit that is not above what is in use now. */
int cgroup_check_usage(int cgroupfd, const struct config_resources *res, struct err *e);

/* Does @res ask for anything that only a cgroup can do? The field's JSON path, or NULL. */
const char *cgroup_needed_by(const struct config_resources *res);

/*
 * Kill what is in the cgroup and below with SIGKILL and wait for it to be gone.
 * Returns 0; -ETIMEDOUT; otherwise -errno.
 */
int cgroup_kill_all(int cgroupfd, unsigned timeout_ms);

/* Send @sig to every process in the cgroup and below. Returns 0 or -errno. */
int cgroup_signal_all(int cgroupfd, int sig);

/*
 * List the processes in the cgroup and below.
 * @ret_pids: malloc
 * Returns 0 or -errno.
 */
int cgroup_pids(int cgroupfd, pid_t **ret_pids, size_t *ret_n);

/* Remove the cgroup @path and those below it; none may hold a process. Returns 0 (also when it is
 * not there) or -errno. */
int cgroup_remove(int rootfd, const char *path);

/* 1 frozen, 0 not, or -errno. */
int cgroup_frozen(int cgroupfd);

/* Freeze or thaw and wait until it is done. Returns 0 or -errno. */
int cgroup_freeze(int cgroupfd, bool freeze);

/* Conversions from version 1's numbers; pure. */
uint64_t cgroup_cpu_weight(uint64_t shares);
uint64_t cgroup_io_weight(uint64_t blkio_weight);

#endif
