#include "runtime/image/tarwrite.h"

#include "lib/util/buf.h"
#include "runtime/image/tarindex.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* what eleven octal digits hold */
#define SIZE_MAX_OCTAL 077777777777ULL
/* what seven do */
#define ID_MAX_OCTAL 07777777u

/* A header block as it lies in the file. */
struct ustar {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char sum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char unused[12];
};

_Static_assert(sizeof(struct ustar) == TAR_BLOCK_BYTES, "a header is one block");

static const char zeros[2 * TAR_BLOCK_BYTES];

static int put(struct tar_writer *w, const void *buf, size_t len)
{
	return len ? w->write(w->arg, buf, len) : 0;
}

/* @size - 1 octal digits and a NUL. */
static void octal(char *field, size_t size, uint64_t value)
{
	field[--size] = '\0';
	while (size > 0) {
		field[--size] = (char)('0' + (value & 7));
		value >>= 3;
	}
}

/* As much of @text as fits; a field that is full has no NUL. */
static void text_field(char *field, size_t size, const char *text)
{
	size_t len = strlen(text);

	memcpy(field, text, len < size ? len : size);
}

static int put_header(
	struct tar_writer *w, const struct tar_entry *e, const char *name, char type, uint64_t size)
{
	struct ustar h = {.magic = "ustar", .version = {'0', '0'}, .type = type};
	const unsigned char *bytes = (const unsigned char *)&h;
	unsigned sum = 0;

	text_field(h.name, sizeof(h.name), name);
	if (type != 'x' && e->link)
		text_field(h.link, sizeof(h.link), e->link);
	octal(h.mode, sizeof(h.mode), e->mode & 07777);
	octal(h.uid, sizeof(h.uid), e->uid > ID_MAX_OCTAL ? 0 : e->uid);
	octal(h.gid, sizeof(h.gid), e->gid > ID_MAX_OCTAL ? 0 : e->gid);
	octal(h.size, sizeof(h.size), size > SIZE_MAX_OCTAL ? 0 : size);
	octal(h.mtime, sizeof(h.mtime),
		e->mtime < 0 || (uint64_t)e->mtime > SIZE_MAX_OCTAL ? 0 : (uint64_t)e->mtime);
	octal(h.major, sizeof(h.major), e->major);
	octal(h.minor, sizeof(h.minor), e->minor);
	memset(h.sum, ' ', sizeof(h.sum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += bytes[i];
	octal(h.sum, sizeof(h.sum) - 1, sum);
	return put(w, &h, sizeof(h));
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts its own digits. */
static int add_record(
	struct buf *b, const char *prefix, const char *key, const void *value, size_t size)
{
	size_t rest = strlen(prefix) + strlen(key) + size + 3; /* blank, "=", newline */
	size_t len = rest;
	int r;

	for (size_t digits = 1, limit = 10; len - rest != digits; digits++, limit *= 10) {
		len = rest + digits;
		if (len < limit)
			break;
		len = rest;
	}
	r = buf_printf(b, "%zu %s%s=", len, prefix, key);
	if (r == 0)
		r = buf_add(b, value, size);
	return r < 0 ? r : buf_add(b, "\n", 1);
}

static int add_number(struct buf *b, const char *key, int64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)value);

	return add_record(b, "", key, text, (size_t)n);
}

/* What ustar's fields cannot say. */
static int collect(struct buf *b, const struct tar_entry *e)
{
	int r = 0;

	if (strlen(e->name) > sizeof(((struct ustar *)0)->name))
		r = add_record(b, "", "path", e->name, strlen(e->name));
	if (r == 0 && e->link && strlen(e->link) > sizeof(((struct ustar *)0)->link))
		r = add_record(b, "", "linkpath", e->link, strlen(e->link));
	if (r == 0 && e->size > SIZE_MAX_OCTAL)
		r = add_number(b, "size", (int64_t)e->size);
	if (r == 0 && e->uid > ID_MAX_OCTAL)
		r = add_number(b, "uid", e->uid);
	if (r == 0 && e->gid > ID_MAX_OCTAL)
		r = add_number(b, "gid", e->gid);
	if (r == 0 && (e->mtime < 0 || (uint64_t)e->mtime > SIZE_MAX_OCTAL))
		r = add_number(b, "mtime", e->mtime);
	for (size_t i = 0; r == 0 && i < e->n_xattrs; i++)
		r = add_record(b, "SCHILY.xattr.", e->xattrs[i].name, e->xattrs[i].value,
			e->xattrs[i].size);
	return r;
}

static unsigned pad_of(uint64_t size)
{
	return (unsigned)(-size & (TAR_BLOCK_BYTES - 1));
}

int tar_write_entry(struct tar_writer *w, const struct tar_entry *entry)
{
	AUTO_BUF struct buf records = {0};
	const struct tar_entry plain = {.mode = 0644, .mtime = entry->mtime};
	int r = collect(&records, entry);

	if (r == 0 && records.len) {
		r = put_header(w, &plain, "PaxHeaders.0/entry", 'x', records.len);
		if (r == 0)
			r = put(w, records.v, records.len);
		if (r == 0)
			r = put(w, zeros, pad_of(records.len));
	}
	w->left = entry->size;
	w->unpad = pad_of(entry->size);
	return r < 0 ? r : put_header(w, entry, entry->name, entry->type, entry->size);
}

int tar_write_data(struct tar_writer *w, const void *buf, size_t len)
{
	int r;

	if (len > w->left)
		return -EINVAL;
	r = put(w, buf, len);
	w->left -= len;
	if (r == 0 && w->left == 0 && len) {
		r = put(w, zeros, w->unpad);
		w->unpad = 0;
	}
	return r;
}

int tar_write_fill(struct tar_writer *w)
{
	int r = 0;

	while (r == 0 && w->left)
		r = tar_write_data(
			w, zeros, w->left < sizeof(zeros) ? (size_t)w->left : sizeof(zeros));
	return r;
}

int tar_write_end(struct tar_writer *w)
{
	return put(w, zeros, sizeof(zeros));
}

int tar_write_file(
	struct tar_writer *w, const char *name, const void *buf, size_t len, int64_t mtime)
{
	const struct tar_entry e = {
		.name = name, .type = '0', .mode = 0644, .size = len, .mtime = mtime};
	int r = tar_write_entry(w, &e);

	return r < 0 ? r : tar_write_data(w, buf, len);
}
