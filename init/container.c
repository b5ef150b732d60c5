#include "init/container.h"

#include "init/adopt.h"
#include "init/image.h"
#include "init/logs.h"
#include "init/options.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/num.h"
#include "lib/base/sys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define PATH_BYTES 512

/* Where the pieces of a container are. */
struct places {
	char image[PATH_BYTES];	 /* rootfs.erofs */
	char rootfs[PATH_BYTES]; /* where the bundle wants its root */
	char dir[PATH_BYTES];	 /* RUN/containers/NAME, ours */
	char lower[PATH_BYTES];
	char pid_file[PATH_BYTES];
	char oci_root[PATH_BYTES];
};

static void find_places(const struct service *svc, struct places *p)
{
	const char *bundle = svc->cfg.container;

	snprintf(p->image, sizeof(p->image), "%s/rootfs.erofs", bundle);
	snprintf(p->rootfs, sizeof(p->rootfs), "%s/rootfs", bundle);
	snprintf(p->dir, sizeof(p->dir), "%s/containers/%s", options.run_dir, svc->cfg.name);
	snprintf(p->lower, sizeof(p->lower), "%.480s/lower", p->dir);
	snprintf(p->pid_file, sizeof(p->pid_file), "%.480s/pid", p->dir);
	snprintf(p->oci_root, sizeof(p->oci_root), "%s/sampan-oci", options.run_dir);
}

static int make_dir(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? errno : 0;
}

static void unmount_root(const struct places *p)
{
	/* Detached, not forced: what still uses them keeps them until it is gone. */
	(void)umount2(p->rootfs, MNT_DETACH);
	(void)umount2(p->dir, MNT_DETACH);
}

/* In the child: RUN/containers/NAME is a tmpfs with lower/ (EROFS), upper/ and work/. */
static int mount_root(const void *arg, const char **ret_step)
{
	static struct places p;
	char path[PATH_BYTES + 16], data[4 * PATH_BYTES];
	int r;

	find_places(arg, &p);
	*ret_step = "make the container's directory";
	snprintf(path, sizeof(path), "%s/containers", options.run_dir);
	r = make_dir(path);
	if (r == 0)
		r = make_dir(p.dir);
	if (r)
		return r;
	if (access(p.image, F_OK) < 0)
		return 0;
	/* of an earlier run that ended badly */
	unmount_root(&p);
	*ret_step = "mount the container's tmpfs";
	if (mount("tmpfs", p.dir, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		return errno;
	*ret_step = "make the overlay's directories";
	r = make_dir(p.lower);
	snprintf(path, sizeof(path), "%s/upper", p.dir);
	if (r == 0)
		r = make_dir(path);
	snprintf(path, sizeof(path), "%s/work", p.dir);
	if (r == 0)
		r = make_dir(path);
	if (r == 0)
		r = image_mount(p.image, p.lower, ret_step);
	if (r)
		return r;
	snprintf(data, sizeof(data), "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", p.lower,
		p.dir, p.dir);
	*ret_step = "mount the overlay";
	if (mount("overlay", p.rootfs, "overlay", 0, data) < 0)
		return errno;
	return 0;
}

static int unmount_before_delete(const void *arg, const char **ret_step)
{
	static struct places p;

	(void)ret_step;
	find_places(arg, &p);
	if (access(p.image, F_OK) == 0)
		unmount_root(&p);
	return 0;
}

static char *word(const char *s)
{
	/* execve() does not write to its arguments; its type is older than const */
	return (char *)(uintptr_t)s;
}

/* Run sampan-oci --root DIR WORDS…; @words ends with NULL. */
static int run_oci(struct service *svc, const struct places *p, char *const *words,
	int (*prepare)(const void *arg, const char **ret_step))
{
	char *argv[12] = {word(options.oci), word("--root"), word(p->oci_root)};
	struct spawn how = {
		.argv = argv,
		.notify = -1,
		.oom_score_adj = svc->cfg.oom_score_adj,
		.prepare = prepare,
		.arg = svc,
	};

	for (int i = 0; words[i] && i < 8; i++)
		argv[3 + i] = words[i];
	return service_spawn_step(svc, &how);
}

int container_create(struct service *svc)
{
	struct places p;

	find_places(svc, &p);
	return run_oci(svc, &p,
		(char *[]){word("create"), word("--bundle"), svc->cfg.container, word("--pid-file"),
			p.pid_file, svc->cfg.name, NULL},
		mount_root);
}

int container_adopt(struct service *svc, struct err *e)
{
	struct places p;
	uint64_t pid = 0;
	char text[32];
	ssize_t len;
	int r;

	find_places(svc, &p);
	len = io_read_file_at(AT_FDCWD, p.pid_file, text, sizeof(text));
	if (len < 0)
		return err_set(e, (int)-len, "read %s: %s", p.pid_file, strerror((int)-len));
	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (num_parse_u64(text, (size_t)len, INT32_MAX, &pid) < 0 || pid < 2)
		return err_set(e, EINVAL, "%s: expected a process's number", p.pid_file);
	svc->pidfd = sys_pidfd_open((pid_t)pid, 0);
	if (svc->pidfd < 0)
		return err_set(e, errno, "process %d: %s", (int)pid, strerror(errno));
	/* Its parent was sampan-oci, which has been reaped: so it is ours by now, and as long as it
	 * is not reaped its number is not another's. */
	r = adopt_check_parent((pid_t)pid);
	if (r <= 0) {
		fd_close(&svc->pidfd);
		return err_set(e, ECHILD, "process %d is not a child of init", (int)pid);
	}
	svc->pid = (pid_t)pid;
	return 0;
}

int container_launch(struct service *svc)
{
	struct places p;

	find_places(svc, &p);
	return run_oci(svc, &p, (char *[]){word("start"), svc->cfg.name, NULL}, NULL);
}

int container_delete(struct service *svc)
{
	struct places p;

	find_places(svc, &p);
	return run_oci(svc, &p, (char *[]){word("delete"), word("--force"), svc->cfg.name, NULL},
		unmount_before_delete);
}
