/*
 * The volumes of this machine: a directory volumes/NAME with the data in _data, and a record of its
 * labels and options. A volume is on record before its directory appears, by a rename when it is
 * complete, and its directory is gone before its record is: so what has a directory is a volume,
 * and what has none is not, whenever power goes.
 */
#ifndef SAMPAN_STORE_VOLUMES_H
#define SAMPAN_STORE_VOLUMES_H

#include "runtime/store/db.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <yyjson.h>

/* bytes of a name, the NUL included: it is a directory's */
#define VOLUME_NAME_BYTES 256

struct volume_store {
	int dir; /* volumes/ */
	struct db *db;
	pthread_mutex_t lock; /* making, filling and removing take turns */
};

/*
 * Open the store below @root, make it if it is missing, and bring to its end what a killed
 * predecessor left half done. A directory that is on no record becomes a volume: it is somebody's
 * data.
 * @db: borrowed
 * Returns 0 or -errno. After 0 the caller owes volume_store_close.
 */
int volume_store_open(struct volume_store *s, int root, struct db *db, struct err *e);
void volume_store_close(struct volume_store *s);

/* Docker's rule for names. Returns 0 or -EINVAL. */
int volume_check_name(const char *name, struct err *e);

struct volume {
	char name[VOLUME_NAME_BYTES];
	yyjson_doc
		*record; /* {"Created": ns since 1970, "Labels": …, "Options": …}, as it was made */
};

/* A member of its record; never NULL. */
yyjson_val *volume_labels(const struct volume *v);
yyjson_val *volume_options(const struct volume *v);
int64_t volume_created_ns(const struct volume *v);

/* Whether it has options, so that something is mounted on its directory while it is in use. */
bool volume_is_mounted(const struct volume *v);

/*
 * Make a volume, unless there is one of that name.
 * @labels, @options: objects of strings; NULL for none
 * @maker: the id of the container that it is made for, which has no record yet; NULL: none
 * Returns 1 when it is new, 0 when it was there, or -errno.
 */
int volume_store_add(struct volume_store *s, const char *name, yyjson_val *labels,
	yyjson_val *options, const char *maker, struct err *e);

/* Read one. Returns 0; -ENOENT in Docker's words; -errno. After 0 the caller owes volume_free. */
int volume_store_get(struct volume_store *s, const char *name, struct volume *ret, struct err *e);
void volume_free(struct volume *v);

/*
 * Names in order; a NULL-terminated array to be freed with its strings.
 * @maker: NULL: all; "": those whose maker is not on record; else those of that maker
 */
int volume_store_list(struct volume_store *s, const char *maker, char ***ret_names, struct err *e);

/*
 * Say for which container a volume was made, or is going away: when that one is not on record any
 * more, the volume is an orphan.
 * @maker: NULL: it stands for itself
 */
int volume_store_claim(struct volume_store *s, const char *name, const char *maker, struct err *e);

/* All volumes that were made for @maker stand for themselves now. */
int volume_store_settle(struct volume_store *s, const char *maker, struct err *e);

/* Remove it with all that is in it. Nothing may be mounted there. */
int volume_store_remove(struct volume_store *s, const char *name, struct err *e);

/* Open its _data. Returns a descriptor that the caller owns or -errno. */
int volume_store_open_data(const struct volume_store *s, const char *name);

/*
 * Fill an empty volume with what is in the directory @from, and give it that one's owner and mode;
 * one that is not empty stays as it is. It appears in the volume when it is complete, unless
 * something is @mounted on the volume's directory: then it is copied straight into that.
 * The thread gets a working directory of its own (copytree.h).
 * Returns 0 or -errno.
 */
int volume_store_fill(
	struct volume_store *s, const char *name, int from, bool mounted, struct err *e);

#endif
