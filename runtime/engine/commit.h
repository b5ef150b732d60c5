/* New images: of what a container changed, and of a tar file that a client has. */
#ifndef SAMPAN_ENGINE_COMMIT_H
#define SAMPAN_ENGINE_COMMIT_H

#include "runtime/engine/engine.h"

struct commit {
	const char *name; /* that the image gets; NULL: none */
	const char *comment;
	const char *author;
	const char *const *instructions; /* see instructions.h */
	size_t n_instructions;
	bool pause;	    /* while its changes are read */
	yyjson_val *config; /* an API ContainerConfig, whose fields count before the container's;
			       NULL: none */
};

/*
 * Make an image of a container: its image's layers and one of what it changed. The image is on
 * record when all of it is on the disk, or not at all.
 * @c: NULL for an import
 * Returns 0 or -errno.
 */
int container_commit(struct engine *en, struct container *c, const struct commit *how,
	char ret_id[static IMAGE_ID_BYTES], struct err *e);

/*
 * Make an image of a tar file, which may be packed.
 * @fd: the file; taken over
 * @how: config and pause do not count
 */
int image_import(struct engine *en, int fd, const struct platform *platform,
	const struct commit *how, char ret_id[static IMAGE_ID_BYTES], struct err *e);

/* Tell an event of an image, with its labels. @name: NULL: its id */
void image_tell(struct engine *en, const char *action, const char *id, const char *name);

#endif
