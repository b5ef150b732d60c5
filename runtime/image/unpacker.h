/*
 * A layer unpacked by a process of its own, which can touch nothing but the layer's directory
 * (confine.h): what is fed to it may be anything. It is the calling program once more, in another
 * role: unpacker_main.
 */
#ifndef SAMPAN_IMAGE_UNPACKER_H
#define SAMPAN_IMAGE_UNPACKER_H

#include "runtime/image/digest.h"
#include "runtime/image/manifest.h"

#include <stdatomic.h>
#include <sys/types.h>

/* The first word of that role's command line, which main() looks for. */
#define UNPACKER_ROLE "--unpack-layer"

struct unpacker {
	pid_t pid;		   /* 0: none */
	int in;			   /* pipe to its input; -1 when closed */
	int control;		   /* socket: what it says */
	const atomic_bool *cancel; /* or NULL */
	int ended;		   /* it says no more */
	int done;		   /* it said that all went well */
	struct err end;
	uint64_t bytes;	      /* of the files, apparent size */
	uint64_t plain_bytes; /* of the archive, unpacked */
};

/*
 * Start one.
 * @dirfd: the layer's directory, empty, borrowed
 * @packing: of what will be fed
 * @diff_id: of what that unpacks to
 * @bytes_max: that files may have in all
 * @cancel: gives up waiting for it; NULL: nobody can
 * Returns 0 or -errno. After 0 the caller owes unpacker_free. It is killed when the calling thread
 * ends.
 */
int unpacker_start(struct unpacker *u, int dirfd, enum packing packing,
	const struct digest *diff_id, uint64_t bytes_max, const atomic_bool *cancel, struct err *e);

/* Feed it. Waits while it is busy. Returns 0; -ECANCELED; -errno: what it did not like. */
int unpacker_write(struct unpacker *u, const void *buf, size_t len, struct err *e);

/* That was all: wait for it to finish. Returns 0 with u->bytes and u->plain_bytes, -ECANCELED, or
 * -errno. */
int unpacker_finish(struct unpacker *u, struct err *e);

/* End it if it has not ended. */
void unpacker_free(struct unpacker *u);

/* The role: unpack descriptor 0 into the directory. Returns the program's exit status. */
int unpacker_main(int argc, char **argv);

#endif
