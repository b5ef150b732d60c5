#include "runtime/oci/criu_message.h"

#include <errno.h>
#include <string.h>

/* How a field's value is written. Source: protobuf.dev "Encoding", "Message Structure". */
enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* bytes of the longest varint: 64 bits, seven in each */
#define VARINT_BYTES_MAX 10

/* fields of criu_req */
enum { REQ_TYPE = 1, REQ_OPTS = 2, REQ_NOTIFY_SUCCESS = 3, REQ_FEATURES = 5 };

static void put(struct criu_writer *w, const void *bytes, size_t len)
{
	if (w->error == 0)
		w->error = buf_add(&w->buf, bytes, len);
}

static void put_varint(struct criu_writer *w, uint64_t value)
{
	unsigned char bytes[VARINT_BYTES_MAX];
	size_t n = 0;

	do {
		bytes[n] = value & 0x7f;
		value >>= 7;
		bytes[n++] |= value ? 0x80 : 0;
	} while (value);
	put(w, bytes, n);
}

static void put_bytes(struct criu_writer *w, unsigned field, const void *bytes, size_t len)
{
	put_varint(w, field << 3 | WIRE_BYTES);
	put_varint(w, len);
	put(w, bytes, len);
}

void criu_put_number(struct criu_writer *w, unsigned field, int64_t value)
{
	put_varint(w, field << 3 | WIRE_VARINT);
	put_varint(w, (uint64_t)value);
}

void criu_put_text(struct criu_writer *w, unsigned field, const char *text)
{
	put_bytes(w, field, text, strlen(text));
}

static void put_message(struct criu_writer *w, unsigned field, const struct criu_writer *inner)
{
	if (w->error == 0)
		w->error = inner->error;
	put_bytes(w, field, inner->buf.v, inner->buf.len);
}

void criu_put_pair(struct criu_writer *w, unsigned field, const char *first, const char *second)
{
	AUTO_CRIU_WRITER struct criu_writer inner = {0};

	criu_put_text(&inner, 1, first);
	criu_put_text(&inner, 2, second);
	put_message(w, field, &inner);
}

void criu_put_numbered(struct criu_writer *w, unsigned field, const char *text, int64_t number)
{
	AUTO_CRIU_WRITER struct criu_writer inner = {0};

	criu_put_text(&inner, 1, text);
	criu_put_number(&inner, 2, number);
	put_message(w, field, &inner);
}

void criu_put_request(struct criu_writer *w, enum criu_type type, const struct criu_writer *opts)
{
	criu_put_number(w, REQ_TYPE, type);
	if (opts)
		put_message(w, REQ_OPTS, opts);
}

void criu_put_notified(struct criu_writer *w, bool success)
{
	criu_put_number(w, REQ_TYPE, CRIU_NOTIFY);
	criu_put_number(w, REQ_NOTIFY_SUCCESS, success);
}

void criu_put_feature_check(struct criu_writer *w)
{
	AUTO_CRIU_WRITER struct criu_writer features = {0};

	criu_put_number(w, REQ_TYPE, CRIU_FEATURE_CHECK);
	criu_put_number(&features, 1, true);
	put_message(w, REQ_FEATURES, &features);
}

void criu_writer_free(struct criu_writer *w)
{
	buf_free(&w->buf);
}

/* A field of a message that is read. */
struct field {
	unsigned number;
	enum wire wire;
	size_t offset;		      /* in struct criu_response */
	const struct message *within; /* of a message in the message */
};

struct message {
	const struct field *fields;
	size_t n;
};

#define AT(member) offsetof(struct criu_response, member)
#define MESSAGE(table)                                                                             \
	{                                                                                          \
		table, sizeof(table) / sizeof((table)[0])                                          \
	}

static const struct field restore_fields[] = {{1, WIRE_VARINT, AT(restored_pid), NULL}};
static const struct field notify_fields[] = {
	{1, WIRE_BYTES, AT(script), NULL},
	{2, WIRE_VARINT, AT(notify_pid), NULL},
};
static const struct field feature_fields[] = {{1, WIRE_VARINT, AT(mem_track), NULL}};
static const struct field version_fields[] = {
	{1, WIRE_VARINT, AT(major), NULL},
	{2, WIRE_VARINT, AT(minor), NULL},
	{4, WIRE_VARINT, AT(sublevel), NULL},
};

static const struct message restore_message = MESSAGE(restore_fields);
static const struct message notify_message = MESSAGE(notify_fields);
static const struct message feature_message = MESSAGE(feature_fields);
static const struct message version_message = MESSAGE(version_fields);

static const struct field response_fields[] = {
	{1, WIRE_VARINT, AT(type), NULL},
	{2, WIRE_VARINT, AT(success), NULL},
	{4, WIRE_BYTES, 0, &restore_message},
	{5, WIRE_BYTES, 0, &notify_message},
	{7, WIRE_VARINT, AT(error), NULL},
	{8, WIRE_BYTES, 0, &feature_message},
	{9, WIRE_BYTES, AT(error_text), NULL},
	{10, WIRE_BYTES, 0, &version_message},
};

static const struct message response_message = MESSAGE(response_fields);

struct reader {
	const unsigned char *p;
	const unsigned char *end;
};

static int take_varint(struct reader *r, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
		if (r->p == r->end)
			return -EBADMSG;
		value |= (uint64_t)(*r->p & 0x7f) << 7 * i;
		if (!(*r->p++ & 0x80)) {
			*ret = value;
			return 0;
		}
	}
	return -EBADMSG;
}

/* Take a field's value: @ret_number, or @ret for those with a length. */
static int take_value(struct reader *r, unsigned wire, uint64_t *ret_number, struct reader *ret)
{
	uint64_t len = 0;
	int n = 0;

	*ret_number = 0;
	switch (wire) {
	case WIRE_VARINT:
		return take_varint(r, ret_number);
	case WIRE_BYTES:
		n = take_varint(r, &len);
		break;
	case WIRE_FIXED64:
		len = 8;
		break;
	case WIRE_FIXED32:
		len = 4;
		break;
	default: /* groups: nobody writes them any more */
		return -EBADMSG;
	}
	if (n < 0 || len > (uint64_t)(r->end - r->p))
		return -EBADMSG;
	*ret = (struct reader){r->p, r->p + len};
	r->p += len;
	return 0;
}

static const struct field *find_field(const struct message *m, uint64_t number)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->fields[i].number == number)
			return &m->fields[i];
	}
	return NULL;
}

static void store(const struct field *f, uint64_t number, const struct reader *bytes,
	struct criu_response *out)
{
	const struct criu_text text = {(const char *)bytes->p, (size_t)(bytes->end - bytes->p)};
	/* Signed numbers come with their sign in all 64 bits. */
	const uint32_t low = (uint32_t)number;

	if (f->wire == WIRE_VARINT)
		memcpy((char *)out + f->offset, &low, sizeof(low));
	else
		memcpy((char *)out + f->offset, &text, sizeof(text));
}

/* Messages are nested as deep as the tables are. */
// NOLINTNEXTLINE(misc-no-recursion)
static int take_message(struct reader r, const struct message *m, struct criu_response *out)
{
	while (r.p < r.end) {
		struct reader bytes = r;
		const struct field *f;
		uint64_t number;
		uint64_t tag;

		if (take_varint(&r, &tag) < 0 || tag >> 3 == 0 ||
			take_value(&r, tag & 7, &number, &bytes) < 0)
			return -EBADMSG;
		f = find_field(m, tag >> 3);
		if (!f)
			continue;
		if (f->wire != (tag & 7) || (f->within && take_message(bytes, f->within, out) < 0))
			return -EBADMSG;
		if (!f->within)
			store(f, number, &bytes, out);
		if (m == &response_message)
			out->seen |= 1ULL << f->number;
	}
	return 0;
}

int criu_read_response(const void *message, size_t len, struct criu_response *ret)
{
	const struct reader r = {message, (const unsigned char *)message + len};
	const uint64_t required = 1U << 1 | 1U << 2;
	struct criu_response out = {0};
	int n = take_message(r, &response_message, &out);

	if (n == 0 && (out.seen & required) != required)
		n = -EBADMSG;
	if (n == 0)
		*ret = out;
	return n;
}

bool criu_text_is(const struct criu_text *text, const char *s)
{
	return text->v && strlen(s) == text->len && memcmp(text->v, s, text->len) == 0;
}

void criu_find_error(const char *log, size_t len, struct criu_text *ret)
{
	static const char word[] = "Error";
	static const char closing[] = "ing FAILED.";
	const char *end = log + len;

	*ret = (struct criu_text){0};
	while (log < end) {
		const char *newline = memchr(log, '\n', (size_t)(end - log));
		size_t line = (size_t)((newline ? newline : end) - log);
		const char *found = memmem(log, line, word, sizeof(word) - 1);

		if (found && !memmem(log, line, closing, sizeof(closing) - 1))
			*ret = (struct criu_text){found, line - (size_t)(found - log)};
		log += newline ? line + 1 : line;
	}
}
