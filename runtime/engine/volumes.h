/*
 * Volumes and who uses them. A volume is used by every container that has it among its mount
 * points, running or not, and may not be removed while it is. One with options (type, o, device)
 * has a file system of its own mounted on its directory from the start of the first such container
 * to the end of the last.
 */
#ifndef SAMPAN_ENGINE_VOLUMES_H
#define SAMPAN_ENGINE_VOLUMES_H

#include "lib/base/err.h"
#include "runtime/store/volumes.h"

struct engine;
struct container;
struct volume_hold;
struct volume_mount;

/* on a volume that nobody gave a name */
#define VOLUME_ANONYMOUS_LABEL "com.docker.volume.anonymous"

struct volumes {
	struct volume_store store;
	pthread_mutex_t lock;	      /* who uses what; taken before engine->lock */
	struct volume_hold *holds;    /* of containers that are being made */
	struct volume_mount *mounted; /* those with options, and how many use them */
};

int volumes_open(struct engine *en, struct err *e);

struct volume_request {
	const char *name;    /* NULL or "": a made-up one, with Docker's label for such */
	const char *driver;  /* "" and "local" are the same */
	yyjson_val *labels;  /* object of strings, or NULL */
	yyjson_val *options; /* of the driver; object of strings, or NULL */
	const char *maker;   /* a container that is being made, which holds it; or NULL */
};

/*
 * Make a volume, or find the one that is there.
 * Returns 0 with @ret to be freed (volume_free); -EINVAL and -ENOENT in Docker's words; -errno.
 */
int volume_make(
	struct engine *en, const struct volume_request *req, struct volume *ret, struct err *e);

/* Hold a volume for @maker until volumes_release. -ENOENT when there is none. */
int volume_hold(struct engine *en, const char *name, const char *maker, struct err *e);

/* @maker is on record now (@made), or will not be: then what was made for it goes. */
void volumes_release(struct engine *en, const char *maker, bool made);

/* How many containers use it. */
int volume_users(struct engine *en, const char *name);

/* -EBUSY in Docker's words while a container uses it. */
int volume_remove(struct engine *en, const char *name, struct err *e);

/* The path of its data; @size bytes. */
void volume_path(const struct engine *en, const char *name, char *buf, size_t size);

/* Bytes of all its files. */
int64_t volume_size(struct engine *en, const char *name);

/* Have its file system mounted for one more container, or one less; nothing for a plain one. */
int volume_mount(struct engine *en, const char *name, struct err *e);
void volume_unmount(struct engine *en, const char *name);

/* As volume_mount, for one that was mounted by the engine before this one. */
void volume_mounted_already(struct engine *en, const char *name);

/* Remove what containers left that were not made in full, and unmount what nobody uses. */
int volumes_recover(struct engine *en, struct err *e);

/* Tell an event; @more as of container_tell. */
void volume_tell(struct engine *en, const char *name, const char *action, const char *const *more);

#endif
