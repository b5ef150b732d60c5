#include "runtime/store/db.h"

#include "runtime/store/schema.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>

/* milliseconds that another process (a person with a shell) may hold the file */
#define BUSY_MS 5000

struct db_row {
	sqlite3_stmt *stmt;
};

const char *db_text(const struct db_row *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row->stmt, column);

	return text ? (const char *)text : "";
}

int64_t db_i64(const struct db_row *row, int column)
{
	return sqlite3_column_int64(row->stmt, column);
}

static int fail(struct db *db, struct err *e, const char *what)
{
	int code = db->handle ? sqlite3_errcode(db->handle) & 0xff : SQLITE_NOMEM;
	int errnum = code == SQLITE_CONSTRAINT			       ? EEXIST
		     : code == SQLITE_FULL			       ? ENOSPC
		     : code == SQLITE_NOMEM			       ? ENOMEM
		     : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? EBADMSG
								       : EIO;

	return err_set(e, errnum, "records: %s: %s", what,
		db->handle ? sqlite3_errmsg(db->handle) : "out of memory");
}

static int bind(sqlite3_stmt *stmt, const char *types, va_list ap)
{
	int r = SQLITE_OK;

	for (int i = 0; types[i] && r == SQLITE_OK; i++) {
		const char *text;

		if (types[i] == 'i') {
			r = sqlite3_bind_int64(stmt, i + 1, va_arg(ap, int64_t));
			continue;
		}
		text = va_arg(ap, const char *);
		r = sqlite3_bind_text(stmt, i + 1, text, -1, SQLITE_TRANSIENT);
	}
	return r;
}

/* @fn NULL: rows are not looked at. Returns rows, or -errno. */
static int run(struct db *db, struct err *e, int (*fn)(void *, const struct db_row *), void *arg,
	const char *sql, const char *types, va_list ap)
{
	struct db_row row = {0};
	int rows = 0;
	int r;

	if (sqlite3_prepare_v2(db->handle, sql, -1, &row.stmt, NULL) != SQLITE_OK ||
		bind(row.stmt, types, ap) != SQLITE_OK) {
		r = fail(db, e, sql);
		sqlite3_finalize(row.stmt);
		return r;
	}
	while ((r = sqlite3_step(row.stmt)) == SQLITE_ROW) {
		rows++;
		if (fn && fn(arg, &row)) {
			r = SQLITE_DONE;
			break;
		}
	}
	if (r != SQLITE_DONE)
		rows = fail(db, e, "write");
	sqlite3_finalize(row.stmt);
	return rows;
}

int db_run(struct db *db, struct err *e, const char *sql, const char *types, ...)
{
	va_list ap;
	int r;

	pthread_mutex_lock(&db->lock);
	va_start(ap, types);
	r = run(db, e, NULL, NULL, sql, types, ap);
	va_end(ap);
	if (r >= 0)
		r = sqlite3_changes(db->handle);
	pthread_mutex_unlock(&db->lock);
	return r;
}

int db_each(struct db *db, struct err *e, int (*fn)(void *arg, const struct db_row *row), void *arg,
	const char *sql, const char *types, ...)
{
	va_list ap;
	int r;

	pthread_mutex_lock(&db->lock);
	va_start(ap, types);
	r = run(db, e, fn, arg, sql, types, ap);
	va_end(ap);
	pthread_mutex_unlock(&db->lock);
	return r;
}

int db_begin(struct db *db, struct err *e)
{
	int r;

	pthread_mutex_lock(&db->lock);
	r = db_run(db, e, "BEGIN IMMEDIATE", "");
	if (r < 0)
		pthread_mutex_unlock(&db->lock);
	return r < 0 ? r : 0;
}

int db_end(struct db *db, int ok, struct err *e)
{
	struct err ignored = {0};
	int r = 0;

	if (ok)
		r = db_run(db, e, "COMMIT", "");
	/* A commit that failed (a full disk) leaves the transaction open. */
	if (!ok || r < 0)
		(void)db_run(db, &ignored, "ROLLBACK", "");
	pthread_mutex_unlock(&db->lock);
	return r < 0 ? r : 0;
}

static int read_version(void *arg, const struct db_row *row)
{
	*(int64_t *)arg = db_i64(row, 0);
	return 1;
}

static int migrate(struct db *db, struct err *e)
{
	int64_t version = 0;
	char line[64];
	int r = db_each(db, e, read_version, &version, "PRAGMA user_version", "");

	if (r < 0)
		return r;
	if (version < 0 || version > (int64_t)schema_version)
		return err_set(e, EBADMSG, "records: are of version %lld, this engine knows %zu",
			(long long)version, schema_version);
	for (; version < (int64_t)schema_version; version++) {
		r = db_begin(db, e);
		if (r < 0)
			return r;
		(void)snprintf(
			line, sizeof(line), "PRAGMA user_version = %lld", (long long)version + 1);
		if (sqlite3_exec(db->handle, schema_steps[version], NULL, NULL, NULL) !=
				SQLITE_OK ||
			sqlite3_exec(db->handle, line, NULL, NULL, NULL) != SQLITE_OK)
			r = fail(db, e, "new schema");
		{
			int ended = db_end(db, r == 0, e);

			r = r < 0 ? r : ended;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int db_open(struct db *db, const char *path, struct err *e)
{
	static const char set_up[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
				     "PRAGMA foreign_keys = ON;";
	pthread_mutexattr_t attr;
	int r = 0;

	*db = (struct db){0};
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&db->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	if (sqlite3_initialize() != SQLITE_OK || sqlite3_open(path, &db->handle) != SQLITE_OK)
		r = fail(db, e, path);
	if (r == 0) {
		sqlite3_busy_timeout(db->handle, BUSY_MS);
		if (sqlite3_exec(db->handle, set_up, NULL, NULL, NULL) != SQLITE_OK)
			r = fail(db, e, path);
	}
	if (r == 0)
		r = migrate(db, e);
	if (r < 0)
		db_close(db);
	return r;
}

void db_close(struct db *db)
{
	sqlite3_close(db->handle);
	pthread_mutex_destroy(&db->lock);
	*db = (struct db){0};
}
