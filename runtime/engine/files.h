/*
 * The files of a container, for clients that copy: `cp`, `export`. Every path is resolved by the
 * kernel inside the container's root, open as a descriptor, so nothing that the container does
 * meanwhile can lead out of it.
 */
#ifndef SAMPAN_ENGINE_FILES_H
#define SAMPAN_ENGINE_FILES_H

#include "runtime/engine/engine.h"
#include "runtime/image/layer.h"
#include "runtime/image/tarwrite.h"

#include <sys/stat.h>

enum files_view {
	FILES_SEEN, /* as the container sees them, with its mounts while it runs */
	FILES_ROOT, /* its root file system alone */
};

struct files {
	struct container *c; /* borrowed */
	int root;
	bool runs;
	bool held; /* it does not run, and cannot be started before files_close */
};

/* Returns 0 or -errno. After 0 the caller owes files_close. */
int files_open(struct engine *en, struct container *c, enum files_view view, struct files *ret,
	struct err *e);
void files_close(struct files *f);

/* One file or directory. */
struct file_found {
	int fd; /* O_PATH */
	struct stat st;
	char name[256];	   /* the path's last component, as Docker names it: "/" and "." as well */
	char target[4096]; /* of a symlink: where it leads in the end, as far as that is there */
};

/*
 * Find @path. A last component that is a symlink is not followed, unless "/" or "/." stands
 * behind it.
 * Returns 0; -ENOENT with Docker's words; -errno. After 0 the caller owes close(ret->fd).
 */
int files_find(const struct files *f, const char *path, struct file_found *ret, struct err *e);

/* Write what was found, or all of the root without a name for it, as a tar file. */
int files_archive(const struct file_found *found, struct tar_writer *w, struct err *e);
int files_archive_all(const struct files *f, struct tar_writer *w, struct err *e);

struct files_put {
	bool keep_kind; /* noOverwriteDirNonDir */
	bool own;	/* copyUIDGID: everything belongs to the container's user */
};

/* Unpack a tar file into the directory @path, which symlinks may lead to. */
int files_put(const struct files *f, const char *path, const struct files_put *how,
	const struct tar_input *in, struct err *e);

#endif
