/* Inside of restore: what is known of the container, and what CRIU is asked for. */
#ifndef SAMPAN_OCI_RESTORE_H
#define SAMPAN_OCI_RESTORE_H

#include "lib/util/path.h"
#include "runtime/oci/checkpoint.h"
#include "runtime/oci/creation.h"
#include "runtime/oci/criu.h"
#include "runtime/oci/limits.h"

/* of CRIU, in the directory for work */
#define CRIU_RESTORE_LOG "restore.log"

struct restore_options {
	struct criu_options common; /* first: see CRIU_OPTION_SPECS */
	struct create_options create;
	const char *lsm_profile;
	const char *lsm_mount_context;
};

struct restore {
	struct creation n;
	struct restore_options opts;
	struct criu_dirs dirs;
	char place[PATH_BYTES_MAX]; /* where CRIU finds the root file system */
	/* CRIU's descriptors: the directories of images and log, and namespaces. */
	int inherit[CRIU_INHERITED_MAX];
	size_t n_inherit;
	int master; /* of the container's terminal */
};

/*
 * Write the options of CRIU's RESTORE request: images, descriptors, namespaces and mounts.
 * @t: opened; gets in inherit what CRIU is to be handed, opened for it
 * @opts: their message
 * Returns 0 or -errno with @e filled.
 * Source: CRIU, images/rpc.proto; runc, libcontainer/criu_linux.go, for which of them.
 */
int restore_put_options(struct restore *t, struct criu_writer *opts, struct err *e);

#endif
