/*
 * The records: one SQLite file in WAL mode. A statement that returned is on the disk. Threads may
 * share a struct db; each call is one transaction unless it stands between db_begin and db_end.
 */
#ifndef SAMPAN_STORE_DB_H
#define SAMPAN_STORE_DB_H

#include "lib/base/err.h"

#include <pthread.h>
#include <stdint.h>

struct sqlite3;
struct sqlite3_stmt;

struct db {
	struct sqlite3 *handle;
	pthread_mutex_t lock; /* recursive */
};

/* The columns of the row at hand; texts live until the callback returns. */
struct db_row;
const char *db_text(const struct db_row *row, int column); /* "" for NULL */
int64_t db_i64(const struct db_row *row, int column);

/*
 * Open the file, make it if it is missing, and bring its schema up to date.
 * Returns 0; -EBADMSG for a file that is damaged or of a newer version; otherwise -errno. After 0
 * the caller owes db_close.
 */
int db_open(struct db *db, const char *path, struct err *e);
void db_close(struct db *db);

/*
 * Run one statement.
 * @types: of the values behind it, one letter each: 's' const char * (NULL allowed), 'i' int64_t
 * Returns how many rows it changed, or -errno with @e filled: -EEXIST where something must be
 * unique, -ENOSPC when the disk is full.
 */
int db_run(struct db *db, struct err *e, const char *sql, const char *types, ...);

/*
 * Run a query and call @fn for each row, until it returns other than 0. It must not use the db.
 * Returns how many rows were seen, or -errno.
 */
int db_each(struct db *db, struct err *e, int (*fn)(void *arg, const struct db_row *row), void *arg,
	const char *sql, const char *types, ...);

/* Several statements as one: all of them or, when @ok is 0 at the end or power goes, none. */
int db_begin(struct db *db, struct err *e);
int db_end(struct db *db, int ok, struct err *e);

#endif
